"""BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs), unkeyed, 32 bytes out. Slow and short: for patching a few small structures."""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS_AND_DIAGONALS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF


def rotate(word, bits):
    return (word >> bits | word << (32 - bits)) & MASK


def compress(chaining, block, counter, length, flags):
    s = [*chaining, *IV[:4], counter & MASK, counter >> 32, length, flags]
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            for word, first, second in ((m[2 * n], 16, 12), (m[2 * n + 1], 8, 7)):
                s[a] = (s[a] + s[b] + word) & MASK
                s[d] = rotate(s[d] ^ s[a], first)
                s[c] = (s[c] + s[d]) & MASK
                s[b] = rotate(s[b] ^ s[c], second)
        m = [m[i] for i in PERMUTATION]
    return [s[i] ^ s[i + 8] for i in range(8)]


def chunk(content, counter, root):
    chaining = IV
    blocks = [content[at:at + 64] for at in range(0, len(content), 64)] or [b""]
    for n, block in enumerate(blocks):
        last = n == len(blocks) - 1
        flags = CHUNK_START * (n == 0) | CHUNK_END * last | ROOT * (root and last)
        chaining = compress(chaining, block, counter, len(block), flags)
    return chaining


def tree(content, first, root):
    if len(content) <= 1024:
        return chunk(content, first, root)
    left = 1024
    while left * 2 < len(content):
        left *= 2
    halves = tree(content[:left], first, False) + tree(content[left:], first + left // 1024, False)
    return compress(IV, struct.pack("<16I", *halves), 0, 64, PARENT | ROOT * root)


def blake3(content):
    return struct.pack("<8I", *tree(content, 0, True))
