//! A command line as words, so that flags of it can be seen and changed.

/// One command of a line, and what joins it to the next: `&&`, `|`, or nothing.
pub(super) struct Simple {
    /// As they are written, quotes included; a redirection is one of them.
    pub(super) words: Vec<String>,
    joint: String,
}

/// The commands of a line.
pub(super) fn commands(line: &str) -> Vec<Simple> {
    let mut commands = vec![Simple { words: Vec::new(), joint: String::new() }];
    for word in words(line) {
        let last = commands.last_mut().expect("there is one at the beginning");
        if ["&&", "|", ";"].contains(&&*word) {
            last.joint = word;
            commands.push(Simple { words: Vec::new(), joint: String::new() });
        } else {
            last.words.push(word);
        }
    }
    commands
}

/// The line that the commands make.
pub(super) fn line(commands: &[Simple]) -> String {
    let texts = commands.iter().map(|command| format!("{} {} ", command.words.join(" "), command.joint));
    texts.collect::<String>().trim().to_owned()
}

fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if ['"', '\''].contains(&letter) => quote = Some(letter),
            None if letter == ' ' => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

impl Simple {
    /// Whether the command is the program's, and called so.
    pub(super) fn is(&self, name: &str) -> bool {
        self.words.first().is_some_and(|word| word == "stele")
            && self.words.get(1).is_some_and(|word| word == name)
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }

    /// The word after `flag`.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        let at = self.words.iter().position(|word| word == flag)?;
        self.words.get(at + 1).map(String::as_str)
    }

    /// Gives `flag` this value, in place of what it has.
    pub(super) fn set(&mut self, flag: &str, value: &str) {
        match self.words.iter().position(|word| word == flag) {
            Some(at) => value.clone_into(&mut self.words[at + 1]),
            None => self.insert(&[flag, value]),
        }
    }

    /// Puts words at the end, before a redirection.
    pub(super) fn insert(&mut self, more: &[&str]) {
        let at = self.words.iter().position(|word| word.starts_with('>')).unwrap_or(self.words.len());
        self.words.splice(at..at, more.iter().map(|word| (*word).to_owned()));
    }
}

#[test]
fn a_line_is_taken_apart_and_put_together_again() {
    let text = "stele config > stele.toml && stele run -c stele.toml --reason 'a && b'";
    let mut commands = commands(text);
    assert_eq!((commands.len(), line(&commands).as_str()), (2, text));
    assert!(commands[0].is("config") && commands[1].is("run"));
    commands[0].insert(&["--dir", "x"]);
    commands[1].set("-c", "y");
    assert_eq!(line(&commands), "stele config --dir x > stele.toml && stele run -c y --reason 'a && b'");
}
