"""Reads a repository of cbt-backup with nothing but doc/repository-format.md to go by.

Usage: read_repository.py REPOSITORY KEY                      lists the points
       read_repository.py REPOSITORY KEY POINT DISK          tells what was said of a disk's changes
       read_repository.py REPOSITORY KEY POINT DISK OUTPUT   restores a disk

KEY is a key file, or a file whose first line is a passphrase. POINT is an id of the list, DISK a
device key. Needs blake3, zstandard and cryptography from PyPI.
It is the proof that the format is written down, and a way to the data without the program.
"""

import json
import pathlib
import struct
import sys

import blake3
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LIMIT = 16 << 20
NO_NONCE = bytes(12)


def ulid(text):
    """The 16 bytes of a ULID (1)."""
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    return number.to_bytes(16, "big")


def secret_for(kind, content):
    """What of a file is tried at a slot of this kind (4): all of it, or the passphrase in its first line."""
    if kind == "key-file":
        return content if 32 <= len(content) <= 4096 else None
    text = content.split(b"\n")[0]
    if kind == "recovery":
        text = text.upper().replace(b"-", b"").replace(b" ", b"")
        return text.translate(bytes.maketrans(b"OIL", b"011"))
    return text if kind == "passphrase" else None


def place(ref):
    """A Ref of a root (7)."""
    numbers = (ref["seq"], ref["offset"], ref["length"], ref["raw"])
    return (ulid(ref["session"]), *numbers, bytes.fromhex(ref["id"]))


def unpack_zstd(data):
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LIMIT)


class ChangedAreas:
    """What was said of a disk's changes (8.1)."""

    def __init__(self, data, capacity):
        self.data, self.at, self.capacity = data, 3, capacity
        assert (data[:2], data[2] in (1, 2)) == (b"C\0", True), data[:3]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def byte_number(self):
        number = self.varint()
        return number >> 1 if number & 1 else (number >> 1) * 65536

    def pages(self, digest):
        """The areas of an answer of which all was kept; they go into the digest."""
        start = 0
        while start < self.capacity:
            length, count, area = self.byte_number(), self.varint(), start
            digest.update(struct.pack("<QQ", start, length))
            end = start + length
            assert length and end < self.capacity + 65536, (start, length)
            for _ in range(count):
                area += self.byte_number()
                size = self.byte_number()
                digest.update(struct.pack("<QQ", area, size))
                rounded = 65535 if end >= self.capacity else 0
                last = min(end, self.capacity) + rounded
                assert size and area < min(end, self.capacity) and area + size <= last, (area, size)
                yield area, min(area + size, self.capacity)
            start = end

    def grains(self, form, end):
        """The grains of an answer too long to be kept."""
        bits = int.from_bytes(self.data[self.at : end], "little")
        self.at, grains = end, -(-self.capacity >> form)
        assert not bits >> grains, "a grain leaves the disk"
        for grain in range(grains):
            if bits >> grain & 1:
                yield grain << form, min(grain + 1 << form, self.capacity)

    def answers(self):
        """Base, first byte, areas, and the digest of the pages."""
        for _ in range(self.data[2]):
            base, first, form, length = struct.unpack_from("<16sQBI", self.data, self.at)
            self.at += 29
            end, digest = self.at + length, blake3.blake3()
            areas = list(self.grains(form, end) if form else self.pages(digest))
            assert self.at == end, "the body has another length"
            yield base, first, areas, None if form else digest.digest()
        assert self.at == len(self.data), "something follows"


class Repository:
    def __init__(self, folder, key):
        self.folder = pathlib.Path(folder)
        self.config = json.loads(self.get("config"))
        if self.config["format"] != 1 or self.config["reads_need"]:
            sys.exit(f"this reader does not know this repository: {self.config}")
        self.master = self.unlock(key)
        self.id_key = self.derive("block id", b"")
        self.pack_keys = {}

    def get(self, name, start=0, length=None):
        with open(self.folder / name, "rb") as file:
            file.seek(start)
            return file.read(length)

    def unlock(self, content):
        """The master key out of the first slot that the key opens (4)."""
        for path in sorted((self.folder / "key").iterdir()):
            slot = json.loads(path.read_bytes())
            secret = secret_for(slot["kind"], content)
            if (slot["version"], slot["kdf"]) != (0, "argon2id") or secret is None:
                continue
            assert slot["memory_kib"] <= 1 << 20 and slot["passes"] <= 16, slot
            costs = {"iterations": slot["passes"], "memory_cost": slot["memory_kib"]}
            costs |= {"lanes": slot["lanes"], "length": 32}
            wrapping = Argon2id(salt=bytes.fromhex(slot["salt"]), **costs).derive(secret)
            about = f"cbt-backup key {path.name} {self.config['id']} {slot['kind']}".encode()
            try:
                return AESGCM(wrapping).decrypt(NO_NONCE, bytes.fromhex(slot["sealed"]), about)
            except Exception:
                continue
        sys.exit("no slot opens with this key")

    def derive(self, purpose, context):
        deriver = blake3.blake3(derive_key_context="cbt-backup 2026 " + purpose)
        return deriver.update(self.master + context).digest()

    def small(self, name):
        """A sealed small object (5)."""
        data = self.get(name)
        magic, version, suite, salt, length = struct.unpack_from("<4sHBx16sI", data)
        assert (magic, version, suite) == (b"cbtO", 0, 1) and length <= LIMIT, name
        key = self.derive("object", salt + name.encode())
        plain = unpack_zstd(AESGCM(key).decrypt(NO_NONCE, data[32:], data[:32] + name.encode()))
        assert len(plain) == length, name
        return json.loads(plain)

    def blob(self, kind, ref):
        """A blob by its place, held against its id (6, 7)."""
        session, seq, offset, length, raw, wanted = ref
        pack = session + kind.encode() + struct.pack("<I", seq)
        header = struct.pack("<4sHcB16sI36x", b"cbtP", 0, kind.encode(), 1, session, seq)
        key = self.pack_keys.setdefault(pack, self.derive("pack", pack))
        name = f"pack/{self.name_of(session)}/{kind}{seq:08x}"
        nonce = struct.pack("<Qxxxx", offset)
        plain = AESGCM(key).decrypt(nonce, self.get(name, offset, length), header)
        plain = plain if raw else unpack_zstd(plain)
        if blake3.blake3(plain, key=self.id_key).digest() != wanted:
            sys.exit(f"{name} at {offset} has another content than it should")
        return plain

    def changed_areas(self, root, disk):
        """Prints what has changed since which point, held against the root."""
        name = f"changed-areas-{disk['device_key']}"
        refs = [file["ref"] for file in root["files"] if file["name"] == name]
        if not refs:
            sys.exit("nothing was kept")
        answers = list(ChangedAreas(self.blob("n", place(refs[0])), disk["capacity_bytes"]).answers())
        digests = [digest for *_, digest in answers]
        if None not in digests:
            whole = digests[0] if len(digests) == 1 else blake3.blake3(b"".join(digests)).digest()
            assert whole.hex() == disk["coverage"]["digest"], "another digest than in the root"
            assert sum(len(areas) for _, _, areas, _ in answers) == disk["coverage"]["areas"]
        for base, first, areas, _ in answers:
            print("since", self.name_of(base), "read from", first)
            for start, end in areas:
                print(start, end - start)

    def name_of(self, session):
        number = int.from_bytes(session, "big")
        return "".join(ALPHABET[number >> 5 * place & 31] for place in range(25, -1, -1))

    def roots(self):
        """The name of each point's living root: the highest generation, then the highest session (8)."""
        best = {}
        for path in self.folder.glob("point/*/*/*"):
            point, (generation, session) = path.parent.name, path.name.split("-")
            dead = (self.folder / "dead" / point).exists()
            fenced = any(self.folder.glob(f"fence/{session}/*.f"))
            if not dead and not fenced:
                name = str(path.relative_to(self.folder))
                best[point] = max(best.get(point, ("", "", "")), (generation, session, name))
        return {point: name for point, (_, _, name) in sorted(best.items())}

    def node(self, ref):
        """The present slots of a node: number and place (7)."""
        data = self.blob("n", ref)
        magic, version, level, shift, bits, sessions = struct.unpack_from("<cBBBBxH", data)
        assert (magic, version) == (b"N", 0), "not a node"
        at = 8 + 16 * sessions
        ids = [data[8 + 16 * i : 24 + 16 * i] for i in range(sessions)]
        present, raw = (int.from_bytes(data[at + i : at + i + 32], "little") for i in (0, 32))
        (packed,) = struct.unpack_from("<I", data, at + 64)
        slots = [slot for slot in range(1 << bits) if present >> slot & 1]
        n, columns = len(slots), unpack_zstd(data[at + 68 : at + 68 + packed])
        session = columns[:n]
        seqs, steps, lengths = (struct.unpack_from(f"<{n}I", columns, n + 4 * n * i) for i in range(3))
        hashes, end, before = at + 68 + packed, 0, None
        for i, slot in enumerate(slots):
            place = (session[i], seqs[i])
            offset = ((end if place == before else 0) + steps[i]) % (1 << 32)
            end, before = offset + lengths[i], place
            wanted = data[hashes + 32 * i : hashes + 32 * i + 32]
            yield slot, (ids[session[i]], seqs[i], offset, lengths[i], raw >> slot & 1, wanted)

    def blocks(self, ref, level, bits, first=0):
        """All blocks below a node, in the order of the disk."""
        for slot, below in self.node(ref):
            number = first + (slot << bits * (level - 1))
            if level == 1:
                yield number, self.blob("d", below)
            else:
                yield from self.blocks(below, level - 1, bits, number)

    def restore(self, disk, output):
        """Writes a disk; what is not there is zeros."""
        if disk["state"]["state"] in ("absent", "partial"):
            sys.exit(f"the disk is not whole in this point: {disk['state']}")
        size = 1 << disk["block_shift"]
        with open(output, "wb") as file:
            file.truncate(disk["capacity_bytes"])
            for lost in disk.get("unreadable", []):
                start = lost["first"] * size
                length = min(lost["blocks"] * size, disk["capacity_bytes"] - start)
                print(f"lost, written as zeros: {length} bytes at {start}", file=sys.stderr)
            if disk["tree"] is None:
                return
            root = place(disk["tree"]["ref"])
            for number, block in self.blocks(root, disk["tree"]["level"], disk["fan_out_bits"]):
                start = number * size
                assert len(block) == min(size, disk["capacity_bytes"] - start), number
                file.seek(start)
                file.write(block)


def main():
    folder, key_file, *rest = sys.argv[1:]
    repository = Repository(folder, pathlib.Path(key_file).read_bytes())
    roots = repository.roots()
    if not rest:
        for point, root in ((point, repository.small(name)) for point, name in roots.items()):
            disks = " ".join(str(disk["device_key"]) for disk in root["disks"])
            print(point, root["kind"], root["snapshot_time"], root["vm"]["name"], disks)
        return
    point, key, *output = rest
    if point not in roots:
        sys.exit(f"there is no point {point}")
    root = repository.small(roots[point])
    if set(root["needs"]) - {"unreadable"}:
        sys.exit(f"this reader does not know this point: {root['needs']}")
    (disk,) = (disk for disk in root["disks"] if disk["device_key"] == int(key))
    if not output:
        repository.changed_areas(root, disk)
        return
    repository.restore(disk, output[0])
    if disk.get("unreadable"):
        sys.exit("parts of the disk are lost: it was copied from a damaged repository")


main()
