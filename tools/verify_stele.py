#!/usr/bin/env python3
"""Verifies a Stele trail without Stele: python3 verify_stele.py TRAIL [--key VKEY] [--against CHECKPOINT]

Written from journal/FORMAT.md, RFC 6962 and C2SP's signed-note and tlog-checkpoint alone. Needs Python 3.9 and, with
--key, the package `cryptography`. Checks header blocks, links, frames (CRC, sequence, time), every checkpoint's root
and signature, and that the trail extends a checkpoint kept elsewhere. Says what no checkpoint covers.

Exit codes: 0 all of it holds, 1 it does not, 2 usage, 3 the trail cannot be read here.
"""
import argparse, base64, hashlib, itertools, os, re, struct, sys
try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

NotSo, Unreadable = type("NotSo", (Exception,), {}), type("Unreadable", (Exception,), {})
# --- CRC-32C (Castagnoli), eight bytes a step ------------------------------------------------------------------------
def crc_tables():
    tables = [list(range(256))]
    for _ in range(8):
        tables[0] = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in tables[0]]
    for _ in range(7):
        tables.append([value >> 8 ^ tables[0][value & 255] for value in tables[-1]])
    return tables

T0, T1, T2, T3, T4, T5, T6, T7 = crc_tables()

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
# --- the trail: journal/FORMAT.md ------------------------------------------------------------------------------------
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
    found = {}
    for name in sorted(os.listdir(folder), reverse=True):  # a raw file comes behind its archive, and counts
        if re.fullmatch(r"\d{10}\.stele(\.zst)?", name):
            found[int(name[:10])] = name
    return [found[index] for index in sorted(found)]

class Log:
    """Gives the frames of all events in order; checks everything on the way."""
    def __init__(self, folder):
        self.folder, self.sequence, self.time, self.open_tail = folder, 0, 0, None
    def events(self):
        before = None
        for at, name in enumerate(segments_of(self.folder)):
            path, data = read_segment(self.folder, name)
            if not any(data[:4096]) and at > 0:
                if any(data):
                    raise NotSo(f"{path}: there are bytes behind a blank header")
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
            tail = f"{path}, offset {end}" + (": a torn batch stands behind it" if any(data[end:]) else "")
            self.open_tail = tail if end < len(data) else None
            position = header.base_position + end - 4096
            before = (header, data[:4096], position, self.sequence, crc32c(data[4096:end]), self.open_tail)
    def check_follows(self, path, header, before):
        last, block, position, sequence, crc, open_tail = before
        if open_tail:
            raise NotSo(f"{open_tail}: no frame stands there, and another segment follows")
        if (header.trail, header.shard, header.index) != (last.trail, last.shard, last.index + 1):
            raise NotSo(f"{path}: it is of another trail or shard, or a segment in front of it is missing")
        aligned = -(-position // header.block_length) * header.block_length
        if header.base_position != aligned or header.base_sequence != sequence + 1 or header.epoch < last.epoch:
            raise NotSo(f"{path}: it does not begin where the segment in front of it ends, event {sequence}")
        link = hashlib.sha256(block + struct.pack("<QQI", position, sequence, crc)).digest()
        if header.link != link:
            raise NotSo(f"{path}: the link to the segment in front does not hold; one of the two was changed")
    def frame_at(self, path, header, data, at):
        if len(data) - at < 32 or not any(data[at:at + 32]):
            return None
        crc, length, flags, version, sequence, time = struct.unpack_from("<IHBBQQ", data, at)
        frame = data[at:at + length]
        if length < 32 or length % 8 or len(frame) < length or crc32c(frame[4:]) ^ header.seed != crc:
            return None
        if version != 1:
            raise Unreadable(f"{path}, offset {at}: frame version {version}")
        expected = 0 if flags & 1 else self.sequence + 1
        if sequence != expected:
            raise NotSo(f"{path}, offset {at}: sequence {sequence} stands where {expected} belongs")
        self.sequence = max(self.sequence, sequence)
        if time < self.time:
            raise NotSo(f"{path}, offset {at}: time steps back after event {self.sequence}")
        self.time = time
        return frame
# --- the tree: RFC 6962, section 2.1 ---------------------------------------------------------------------------------
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
# --- checkpoints: C2SP signed-note, tlog-checkpoint ------------------------------------------------------------------
class Key:
    def __init__(self, vkey):
        self.name, digits, data = vkey.split("+", 2)
        self.id, data = bytes.fromhex(digits), base64.b64decode(data, validate=True)
        if data[:1] != b"\1" or len(data) != 33 \
                or hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4] != self.id:
            raise ValueError("no Ed25519 key")
        if Ed25519PublicKey is None:
            raise Unreadable("--key needs the Python package cryptography")
        self.key = Ed25519PublicKey.from_public_bytes(data[1:])
    def check(self, path, text, signatures):
        found = False
        for line in signatures:
            dash, name, blob = line.split(" ")
            blob = base64.b64decode(blob, validate=True)
            if dash != "\u2014":
                raise ValueError("no dash")
            if name == self.name and blob[:4] == self.id:
                found = True
                try:
                    self.key.verify(blob[4:], text.encode())
                except InvalidSignature:
                    raise NotSo(f"{path}: the signature of {name} does not fit the text")
        if not found:
            raise NotSo(f"{path}: it is not signed by {self.name}")

def read_checkpoint(path, key, origin):
    try:
        note = open(path, "rb").read().decode()
        text, rest = note[:note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2:]
        lines = text[:-1].split("\n")
        size, root = lines[1], base64.b64decode(lines[2], validate=True)
        if not re.fullmatch("0|[1-9][0-9]*", size) or len(root) != 32 or not rest.endswith("\n") or "" in lines:
            raise ValueError("form")
        if lines[0] != origin:
            raise NotSo(f"{path}: it is of {lines[0]}, not of {origin}")
        if key:
            key.check(path, text, rest[:-1].split("\n"))
        return int(size), root, path
    except (ValueError, IndexError, UnicodeDecodeError):
        raise NotSo(f"{path} is no checkpoint")

def claims_of(folder, key, against, origin):
    checkpoints = os.path.join(folder, "seals", "checkpoints")
    names = os.listdir(checkpoints) if os.path.isdir(checkpoints) else []
    names = sorted(name for name in names if re.fullmatch(r"\d{10}", name))
    if names != [f"{number:010}" for number in range(1, len(names) + 1)]:
        raise NotSo(f"{checkpoints}: a checkpoint is missing between others")
    claims = [read_checkpoint(os.path.join(checkpoints, name), key, origin) for name in names]
    for one, other in zip(claims, claims[1:]):
        if other[0] <= one[0]:
            raise NotSo(f"{other[2]} does not follow the checkpoint in front of it")
    newest = os.path.join(folder, "seals", "checkpoint")
    if os.path.exists(newest):
        found = read_checkpoint(newest, key, origin)
        if found[:2] not in [claim[:2] for claim in claims[-2:]]:
            raise NotSo(f"{newest} is not the last of the numbered checkpoints")
    sealed = claims[-1][0] if claims else 0
    if against:
        claims.append(read_checkpoint(against, key, origin))
    return sorted(claims, key=lambda claim: claim[0]), sealed, len(names)

def verify(folder, key, against):
    names = segments_of(folder)
    if not names:
        raise Unreadable(f"{folder} holds no trail")
    first = Header(names[0], read_segment(folder, names[0])[1][:4096])
    claims, sealed, count = claims_of(folder, key, against, f"stele.internal/{first.trail.hex()}/{first.shard}")
    if first.base_sequence != 1 and claims:
        raise Unreadable(f"the trail begins at event {first.base_sequence}: the tree cannot be computed again")
    log, tree, met = Log(folder), Tree(), 0
    for frame in itertools.chain([None], log.events()):
        frame and tree.append(frame)
        while met < len(claims) and claims[met][0] == tree.size:
            if claims[met][1] != tree.root():
                begin = claims[met - 1][0] + 1 if met and claims[met][2] != against else 1
                raise NotSo(f"{claims[met][2]}: the events give another root: one of the events {begin} to "
                            f"{tree.size} was changed after it was sealed")
            met += 1
    if met < len(claims):
        raise NotSo(f"{claims[met][2]}: it was signed over {claims[met][0]} events, the trail ends after "
                    f"{log.sequence}: the rest is gone")
    print(f"{log.sequence} events: frames, sequence, time and links hold")
    print(f"{count} checkpoints: roots hold, " + ("signatures hold" if key else "signatures NOT checked (no --key)"))
    if against:
        print(f"the trail extends the checkpoint in {against}" + ("" if claims[0][0] else ", which is over no event"))
    print(f"{log.sequence - sealed} events behind the last checkpoint are under no signature")
    if log.open_tail:
        print(f"not closed: the log ends at {log.open_tail}")

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trail")
    parser.add_argument("--key", type=Key, help="the public key, name+id+base64")
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
    return 0

if __name__ == "__main__":
    sys.exit(main())
