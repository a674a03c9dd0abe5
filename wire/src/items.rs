//! The macros of generated code: what every enumeration, set, composite, message and group entry has.

/// Converts a number to the type of a field of a `repr(C)` struct.
#[doc(hidden)]
#[macro_export]
macro_rules! stored {
    (u8, $value:expr) => {
        $value
    };
    (i8, $value:expr) => {
        $value
    };
    ($wide:ident, $value:expr) => {
        $wide::new($value)
    };
}

/// Converts a field of a `repr(C)` struct to a number.
#[doc(hidden)]
#[macro_export]
macro_rules! native {
    (u8, $value:expr) => {
        $value
    };
    ($wide:ident, $value:expr) => {
        $value.get()
    };
}

/// Defines an enumeration: it can hold every number, and those of the schema have names.
#[doc(hidden)]
#[macro_export]
macro_rules! enumeration {
    (
        $(#[$about:meta])*
        $name:ident($storage:ident), null $null:literal {
            $($(#[$doc:meta])* $value:ident = $number:literal, $text:literal;)*
        }
    ) => {
        $(#[$about])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
        pub struct $name(pub $storage);

        impl $name {
            $($(#[$doc])* pub const $value: Self = Self($crate::stored!($storage, $number));)*
            /// No value.
            pub const NULL: Self = Self($crate::stored!($storage, $null));

            /// The values that the schema names, in its order.
            pub const VALUES: &'static [Self] = &[$(Self::$value),*];

            /// Returns the schema's name of the value; `None` when it is null or from a later version.
            pub fn name(self) -> Option<&'static str> {
                $(if self == Self::$value {
                    return Some($text);
                })*
                None
            }

            /// Returns the value that the schema calls `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$value),)*
                    _ => None,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::NULL
            }
        }

        impl ::std::fmt::Display for $name {
            /// Writes the name, or the number where there is no name.
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => ::std::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

/// Defines a set of bits.
#[doc(hidden)]
#[macro_export]
macro_rules! set {
    (
        $(#[$about:meta])*
        $name:ident($storage:ident: $native:ident) {
            $($(#[$doc:meta])* $choice:ident = $bit:literal, $text:literal;)*
        }
    ) => {
        $(#[$about])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
        pub struct $name(pub $storage);

        impl $name {
            $($(#[$doc])* pub const $choice: Self = Self($crate::stored!($storage, 1 << $bit));)*
            /// The set without any bit.
            pub const EMPTY: Self = Self($crate::stored!($storage, 0));

            /// Returns the set of these bits, also of those that the schema does not name.
            pub const fn from_bits(bits: $native) -> Self {
                Self($crate::stored!($storage, bits))
            }

            /// Returns the bits, also those that the schema does not name.
            pub const fn bits(self) -> $native {
                $crate::native!($storage, self.0)
            }

            /// Whether every bit of `other` is set.
            pub const fn contains(self, other: Self) -> bool {
                self.bits() & other.bits() == other.bits()
            }

            /// Whether no bit is set.
            pub const fn is_empty(self) -> bool {
                self.bits() == 0
            }

            /// Returns the set with every bit of `other` added.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self::from_bits(self.bits() | other.bits())
            }

            /// Returns the set with every bit of `other` removed.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self::from_bits(self.bits() & !other.bits())
            }
        }

        impl ::std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl ::std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                *self = *self | other;
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::EMPTY
            }
        }

        impl ::std::fmt::Display for $name {
            /// Writes the names of the bits, separated by `|`; bits without a name are written as one number.
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let mut separator = "";
                let mut unnamed = *self;
                $(if self.contains(Self::$choice) {
                    write!(f, "{}{}", ::std::mem::replace(&mut separator, "|"), $text)?;
                    unnamed = unnamed.without(Self::$choice);
                })*
                if unnamed.is_empty() { Ok(()) } else { write!(f, "{separator}{}", unnamed.bits()) }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

/// Defines the null value of a block, and checks that its struct has the schema's length.
#[doc(hidden)]
#[macro_export]
macro_rules! composite {
    ($name:ident, $length:literal { $($field:ident: $null:expr,)* }) => {
        impl $name {
            /// Every field null: numbers have the schema's null value, text and bytes are zeros, sets are
            /// empty.
            pub const NULL: Self = Self { $($field: $null),* };
        }

        impl Default for $name {
            fn default() -> Self {
                Self::NULL
            }
        }

        const _: () = assert!(size_of::<$name>() == $length && align_of::<$name>() == 1);
    };
}

/// Defines a composite as the dimensions of groups.
#[doc(hidden)]
#[macro_export]
macro_rules! dimensions {
    ($name:ident, $length:ident, $count:ident) => {
        impl $crate::codec::Dimensions for $name {
            fn new(block_length: usize, count: usize) -> Option<Self> {
                let mut dimensions = Self::NULL;
                dimensions.block_length = <$length as $crate::codec::Length>::of(block_length)?;
                dimensions.num_in_group = <$count as $crate::codec::Length>::of(count)?;
                Some(dimensions)
            }

            fn block_length(&self) -> usize {
                $crate::codec::Length::length(self.block_length)
            }

            fn count(&self) -> usize {
                $crate::codec::Length::length(self.num_in_group)
            }
        }
    };
}

/// Defines the block of a group's entry.
#[doc(hidden)]
#[macro_export]
macro_rules! entry {
    ($name:ident in $dimensions:ident, $length:literal { $($field:ident: $null:expr,)* } $($item:item)*) => {
        $crate::composite! { $name, $length { $($field: $null,)* } }

        impl $crate::codec::Block for $name {
            const NULL: Self = Self::NULL;
            $($item)*
        }

        impl $crate::codec::GroupEntry for $name {
            type Dimensions = $dimensions;
        }
    };
}

/// Defines the block of a message.
#[doc(hidden)]
#[macro_export]
macro_rules! message {
    ($name:ident = $id:literal, $text:literal, $length:literal { $($field:ident: $null:expr,)* } $($item:item)*) => {
        $crate::composite! { $name, $length { $($field: $null,)* } }

        impl $name {
            /// The template id of the message.
            pub const TEMPLATE_ID: u16 = $id;
            /// The length of the block in bytes, as this version writes it.
            pub const BLOCK_LENGTH: u16 = $length;
            /// The schema's name of the message.
            pub const NAME: &'static str = $text;
        }

        impl $crate::codec::Block for $name {
            const NULL: Self = Self::NULL;
            $($item)*
        }

        impl $crate::codec::Message for $name {
            const TEMPLATE_ID: u16 = $id;
            const BLOCK_LENGTH: u16 = $length;
            const NAME: &'static str = $text;
            const SCHEMA_ID: u16 = super::SCHEMA_ID;
            const SCHEMA_VERSION: u16 = super::SCHEMA_VERSION;
        }
    };
}
