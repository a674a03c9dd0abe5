#!/usr/bin/env python3
"""Verifies a Stele trail without Stele: python3 verify_stele.py TRAIL [--key VKEY] [--against CHECKPOINT]

Written only from journal/FORMAT.md, RFC 6962 and C2SP's signed-note and tlog-checkpoint. Needs Python 3.9
and, with --key, the package `cryptography`. Checks header blocks, links, frames (CRC, sequence, time), every
checkpoint's root and signature, and that the trail extends a checkpoint kept elsewhere. Reports how many
events no checkpoint covers.

Exit codes: 0 the trail is valid, 1 it is not, 2 usage, 3 the trail cannot be read here.
"""
import argparse, base64, hashlib, itertools, os, re, struct, sys
try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None
NotSo, Unreadable = type("NotSo", (Exception,), {}), type("Unreadable", (Exception,), {})
# --- CRC-32C (Castagnoli), eight bytes a step ---------------------------------------------------------------
TABLES = [list(range(256))]
for _ in range(8):
    TABLES[0] = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in TABLES[0]]
for _ in range(7):
    TABLES.append([value >> 8 ^ TABLES[0][value & 255] for value in TABLES[-1]])
T0, T1, T2, T3, T4, T5, T6, T7 = TABLES
def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    whole = len(data) // 8 * 8
    for low, high in struct.iter_unpack("<II", data[:whole]):
        low ^= crc
        crc = (T7[low & 255] ^ T6[low >> 8 & 255] ^ T5[low >> 16 & 255] ^ T4[low >> 24]
               ^ T3[high & 255] ^ T2[high >> 8 & 255] ^ T1[high >> 16 & 255] ^ T0[high >> 24])
    for byte in data[whole:]:
        crc = crc >> 8 ^ T0[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF
# --- the trail: journal/FORMAT.md ---------------------------------------------------------------------------
HEADER = struct.Struct("<8sII16sIIQQQQQ32s32s")
class Header:
    def __init__(self, path, block):
        (magic, self.version, self.block_length, self.trail, self.shard, self.epoch, self.index, self.base_position,
         self.base_sequence, self.segment_length, self.created, self.link, self.schema) = HEADER.unpack_from(block)
        if magic != b"STELESEG" or crc32c(block[:4092]) != struct.unpack_from("<I", block, 4092)[0]:
            raise NotSo(f"{path}: the header block is damaged")
        if self.version != 1:
            raise Unreadable(f"{path}: format version {self.version} is newer than this verifier")
        self.seed = crc32c(self.trail + struct.pack("<II", self.shard, self.epoch))
def read_segment(folder, name):
    path = os.path.join(folder, name)
    if name.endswith(".zst"):
        try:
            import zstandard
            return path, zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), read_across_frames=True).read()
        except ImportError:
            raise Unreadable(f"{path} is archived: unpack it (`zstd -d`) or install the Python package zstandard")
    return path, open(path, "rb").read()

def segments_of(folder):
    names = sorted(os.listdir(folder), reverse=True)  # a raw file comes after its archive, and counts
    found = {name[:10]: name for name in names if re.fullmatch(r"\d{10}\.stele(\.zst)?", name)}
    return [found[index] for index in sorted(found)]

class Log:
    """Yields the frames of all events in order, and checks everything on the way."""
    def __init__(self, folder):
        self.folder, self.sequence, self.time, self.open_tail = folder, 0, 0, None
    def events(self):
        before = None
        for at, name in enumerate(segments_of(self.folder)):
            path, data = read_segment(self.folder, name)
            if not any(data[:4096]) and at > 0:
                if any(data):
                    raise NotSo(f"{path}: there are bytes after a blank header")
                continue
            header = Header(path, data[:4096])
            if header.index != int(name[:10]):
                raise NotSo(f"{path}: its header says index {header.index}")
            if before:
                self.check_follows(path, header, before)
            self.sequence = header.base_sequence - 1
            self.time = max(self.time, header.created)
            end, stop = 4096, min(len(data), 4096 + header.segment_length)
            while end < stop and (frame := self.frame_at(path, header, data, end)):
                end += len(frame)
                if not frame[6] & 1:
                    yield frame
            tail = f"{path}, offset {end}" + (": a torn batch follows" if any(data[end:]) else "")
            self.open_tail, position = tail if end < len(data) else None, header.base_position + end - 4096
            before = (header, data[:4096], position, self.sequence, crc32c(data[4096:end]), self.open_tail)
    def check_follows(self, path, header, before):
        last, block, position, sequence, crc, open_tail = before
        if open_tail:
            raise NotSo(f"{open_tail}: there is not a frame, and another segment follows")
        if (header.trail, header.shard, header.index) != (last.trail, last.shard, last.index + 1):
            raise NotSo(f"{path}: it is of another trail or shard, or a segment before it is missing")
        aligned = -(-position // header.block_length) * header.block_length
        if header.base_position != aligned or header.base_sequence != sequence + 1 or header.epoch < last.epoch:
            raise NotSo(f"{path}: it does not begin where the segment before it ends, event {sequence}")
        if header.link != hashlib.sha256(block + struct.pack("<QQI", position, sequence, crc)).digest():
            raise NotSo(f"{path}: the link to the segment before it does not hold; one of the two was changed")
    def frame_at(self, path, header, data, at):
        if len(data) - at < 32 or not any(data[at:at + 32]):
            return None
        crc, length, flags, version, sequence, time = struct.unpack_from("<IHBBQQ", data, at)
        frame = data[at:at + length]
        if length < 32 or length % 8 or len(frame) < length or crc32c(frame[4:]) ^ header.seed != crc:
            return None
        if version != 1:
            raise Unreadable(f"{path}, offset {at}: frame version {version}")
        if sequence != (0 if flags & 1 else self.sequence + 1):
            raise NotSo(f"{path}, offset {at}: sequence {sequence} comes after {self.sequence}")
        self.sequence = max(self.sequence, sequence)
        if time < self.time:
            raise NotSo(f"{path}, offset {at}: time steps back after event {self.sequence}")
        self.time = time
        return frame
# --- the tree: RFC 6962, section 2.1 ------------------------------------------------------------------------
class Tree:
    def __init__(self):
        self.size, self.stack = 0, []
    def append(self, entry):
        node, size = hashlib.sha256(b"\0" + entry).digest(), self.size
        while size & 1:
            node, size = hashlib.sha256(b"\1" + self.stack.pop() + node).digest(), size >> 1
        self.stack.append(node)
        self.size += 1
    def root(self):
        node = self.stack[-1] if self.stack else hashlib.sha256(b"").digest()
        for left in reversed(self.stack[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node
# --- checkpoints: C2SP signed-note, tlog-checkpoint ---------------------------------------------------------
class Key:
    def __init__(self, vkey):
        if Ed25519PublicKey is None:
            raise Unreadable("--key needs the Python package cryptography")
        self.text, (self.name, digits, data) = vkey, vkey.split("+", 2)
        self.id, self.bytes = bytes.fromhex(digits), base64.b64decode(data, validate=True)[1:]
        self.key = Ed25519PublicKey.from_public_bytes(self.bytes)
        if vkey != vkey_of(self.name, self.bytes):
            raise ValueError("not an Ed25519 key")
    def has_signed(self, message, signature):
        try:
            return self.key.verify(signature, message.encode()) is None
        except InvalidSignature:
            return False
    def signs(self, claim):
        mine = [blob[4:] for name, blob in claim.signatures if (name, blob[:4]) == (self.name, self.id)]
        if not all(self.has_signed(claim.text, signature) for signature in mine):
            raise NotSo(f"{claim.path}: the signature of {self.name} does not fit the text")
        return bool(mine)
    def successor(self, frame, origin):
        """The key that replaces this one, if the frame is the event KeyRotated for it."""
        if struct.unpack_from("<HH", frame, 26) != (521, 1) or frame[40:72] != self.bytes:
            return None
        new = Key(vkey_of(self.name, frame[72:104]))
        text = f"stele key rotation\n{origin}\n{self.text}\n{new.text}\n"
        return new if self.has_signed(text, frame[112:176]) else None
def vkey_of(name, data):
    digits = hashlib.sha256(name.encode() + b"\n\1" + data).hexdigest()[:8]
    return f"{name}+{digits}+{base64.b64encode(bytes([1]) + data).decode()}"
class Checkpoint:
    def __init__(self, path, origin):
        self.path = path
        try:
            note = open(path, "rb").read().decode()
            self.text, rest = note[:note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2:]
            lines, signed = self.text[:-1].split("\n"), [line.split(" ") for line in rest[:-1].split("\n")]
            self.root = base64.b64decode(lines[2], validate=True)
            self.signatures = [(name, base64.b64decode(blob, validate=True)) for _, name, blob in signed]
            self.size = int(lines[1])
            if str(self.size) != lines[1] or len(self.root) != 32 or rest[-1:] != "\n" or "" in lines \
                    or any(line[0] != "\u2014" for line in signed):
                raise ValueError("form")
        except (ValueError, IndexError, UnicodeDecodeError):
            raise NotSo(f"{path} is not a checkpoint")
        if lines[0] != origin:
            raise NotSo(f"{path}: it is of {lines[0]}, not of {origin}")
def checkpoints_of(folder, origin):
    place = os.path.join(folder, "seals", "checkpoints")
    names = sorted(filter(re.compile(r"\d{10}").fullmatch, os.listdir(place) if os.path.isdir(place) else []))
    if names != [f"{number:010}" for number in range(1, len(names) + 1)]:
        raise NotSo(f"{place}: a checkpoint is missing between others")
    own = [Checkpoint(os.path.join(place, name), origin) for name in names]
    for one, other in zip(own, own[1:]):
        if other.size <= one.size:
            raise NotSo(f"{other.path} does not follow the checkpoint before it")
    newest = os.path.join(folder, "seals", "checkpoint")
    if os.path.exists(newest):
        own.append(Checkpoint(newest, origin))
        if own[-1].text not in [one.text for one in own[-3:-1]]:
            raise NotSo(f"{newest} is not the last of the numbered checkpoints")
    return own, len(names)

def verify(folder, key, against):
    names = segments_of(folder)
    if not names:
        raise Unreadable(f"{folder} holds no trail")
    first = Header(names[0], read_segment(folder, names[0])[1][:4096])
    origin = f"stele.internal/{first.trail.hex()}/{first.shard}"
    own, count = checkpoints_of(folder, origin)
    kept = [Checkpoint(against, origin)] if against else []
    claims, sizes = sorted(own + kept, key=lambda claim: claim.size), {claim.size for claim in own}
    if first.base_sequence != 1 and claims:
        raise Unreadable(f"the trail begins at event {first.base_sequence}: the tree cannot be computed again")
    log, tree, met, before, keys, handed = Log(folder), Tree(), 0, 0, [key] if key else [], []
    for frame in itertools.chain([None], log.events()):
        frame and tree.append(frame)
        if frame and keys and (new := keys[-1].successor(frame, origin)):
            keys.append(new)
            handed.append(tree.size)
        while met < len(claims) and claims[met].size == tree.size:
            claim, met = claims[met], met + 1
            by = next((at for at, one in enumerate(keys) if one.signs(claim)), None)
            if keys and by is None:
                raise NotSo(f"{claim.path}: neither {keys[-1].text} nor one that handed over to it signed it")
            if keys and claim in own and by < len(handed) and handed[by] <= before:
                raise NotSo(f"{claim.path}: it is signed with a key that handed over by event {handed[by]}")
            if claim.root != tree.root():
                begin = before + 1 if claim in own else 1
                raise NotSo(f"{claim.path}: the events give another root: one of the events {begin} to {tree.size} "
                            "was changed after it was sealed")
        before = tree.size if tree.size in sizes else before
    if met < len(claims):
        raise NotSo(f"{claims[met].path}: it was signed over {claims[met].size} events, the trail ends after "
                    f"{log.sequence}: the rest is gone")
    print(f"{log.sequence} events: frames, sequence, time and links hold")
    print(f"{count} checkpoints: roots hold, " + ("signatures hold" if key else "signatures NOT checked (no --key)"))
    handed and print("the key handed over to another one by event " + ", ".join(map(str, handed)))
    if against:
        print(f"the trail extends the checkpoint in {against}" + ("" if claims[0].size else ", which is over no event"))
    print(f"{log.sequence - max(sizes, default=0)} events after the last checkpoint are under no signature")
    if log.open_tail:
        print(f"not closed: the log ends at {log.open_tail}")

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trail")
    parser.add_argument("--key", type=Key, help="the first public key, name+id+base64")
    parser.add_argument("--against", help="a checkpoint that was kept elsewhere")
    try:
        given = parser.parse_args()
        verify(given.trail, given.key, given.against)
    except NotSo as wrong:
        print(f"NOT SO: {wrong}", file=sys.stderr)
        return 1
    except (Unreadable, OSError, ImportError) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 3

if __name__ == "__main__":
    sys.exit(main())
