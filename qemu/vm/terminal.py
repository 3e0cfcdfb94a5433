"""A terminal of 80 columns and 24 rows, as far as the box's own screen, the kernel and systemd use one. Owns the cells; knows nothing of lines or machines."""

import codecs
import re

COLUMNS, ROWS = 80, 24
# ESC [ parameters, intermediates, final; ESC ] ... BEL or ST; ESC intermediate final; ESC final.
SEQUENCE = re.compile(r"\x1b\[([0-?]*)([ -/]*)([@-~])|\x1b\](.*?)(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b([0-Z^-~=>\\])", re.S)
# A sequence that is not whole within so many characters is none.
LONGEST = 512


class Terminal:
    """`feed` takes what came over the line and returns what a terminal answers to it."""

    def __init__(self):
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.rest = ""
        self.reset()

    def reset(self):
        self.cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        # The cursor stays on the last column until one more character comes.
        self.full = False
        self.saved = (0, 0)
        self.region = (0, ROWS - 1)

    @property
    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def feed(self, data):
        text, answers = self.rest + self.decode(data), []
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._character(text[at])
                at += 1
                continue
            found = SEQUENCE.match(text, at)
            if found is None:
                if len(text) - at < LONGEST:
                    break
                at += 1
                continue
            answers.append(self._sequence(found) or "")
            at = found.end()
        self.rest = text[at:]
        return "".join(answers).encode()

    def _character(self, c):
        if c == "\n":
            self._down()
        elif c == "\r":
            self.column, self.full = 0, False
        elif c == "\b":
            self.column, self.full = max(0, self.column - 1), False
        elif c == "\t":
            self.column = min(COLUMNS - 1, self.column // 8 * 8 + 8)
        elif c >= " " and c != "\x7f":
            if self.full:
                self.column, self.full = 0, False
                self._down()
            self.cells[self.row][self.column] = c
            if self.column == COLUMNS - 1:
                self.full = True
            else:
                self.column += 1

    def _down(self):
        if self.row == self.region[1]:
            self._scroll(self.region[0], 1)
        else:
            self.row = min(ROWS - 1, self.row + 1)

    def _scroll(self, top, count):
        """Takes so many rows out at `top` and lets those below move up; negative: puts empty ones in."""
        for _ in range(min(abs(count), ROWS)):
            if count > 0:
                del self.cells[top]
                self.cells.insert(self.region[1], [" "] * COLUMNS)
            else:
                del self.cells[self.region[1]]
                self.cells.insert(top, [" "] * COLUMNS)

    def _sequence(self, found):
        if found[5]:
            return self._short(found[5])
        if found[3] is None or found[2]:
            return None
        private = found[1][:1] in ("?", ">", "<", "=")
        numbers = [int(word) if word.isdigit() else 0 for word in found[1].lstrip("?><=").split(";")]
        final, first = found[3], numbers[0]
        if private:
            if final in "hl" and 1049 in numbers:
                self._clear(0, ROWS * COLUMNS)
            return None
        if final in "Hf":
            self._move(max(1, first) - 1, max(1, numbers[1] if len(numbers) > 1 else 1) - 1)
        elif final in "ABCD":
            down, right = {"A": (-1, 0), "B": (1, 0), "C": (0, 1), "D": (0, -1)}[final]
            self._move(self.row + down * max(1, first), self.column + right * max(1, first))
        elif final in "Gd":
            self._move(*((self.row, max(1, first) - 1) if final == "G" else (max(1, first) - 1, self.column)))
        elif final in "JK":
            self._erase(final, first)
        elif final in "LMSTX":
            self._shift(final, max(1, first))
        elif final == "r":
            top, bottom = max(1, first), numbers[1] if len(numbers) > 1 and numbers[1] else ROWS
            self.region = (min(top, ROWS) - 1, min(bottom, ROWS) - 1)
            self._move(0, 0)
        elif final == "n" and first == 6:
            return f"\x1b[{self.row + 1};{self.column + 1}R"
        elif final in "su":
            self._short("7" if final == "s" else "8")
        return None

    def _short(self, final):
        if final == "7":
            self.saved = (self.row, self.column)
        elif final == "8":
            self._move(*self.saved)
        elif final == "c":
            self.reset()
        elif final == "D":
            self._down()
        elif final == "E":
            self.column = 0
            self._down()
        elif final == "M":
            if self.row == self.region[0]:
                self._scroll(self.region[0], -1)
            else:
                self.row = max(0, self.row - 1)

    def _move(self, row, column):
        self.row, self.column, self.full = min(max(row, 0), ROWS - 1), min(max(column, 0), COLUMNS - 1), False

    def _erase(self, final, how):
        begin, end = (0, ROWS * COLUMNS) if final == "J" else (self.row * COLUMNS, (self.row + 1) * COLUMNS)
        here = self.row * COLUMNS + self.column
        self._clear(here if how == 0 else begin, here + 1 if how == 1 else end)

    def _shift(self, final, count):
        if final == "X":
            here = self.row * COLUMNS + self.column
            self._clear(here, min(here + count, (self.row + 1) * COLUMNS))
        else:
            top = self.row if final in "LM" else self.region[0]
            self._scroll(top, count if final in "MS" else -count)

    def _clear(self, begin, end):
        for at in range(begin, end):
            self.cells[at // COLUMNS][at % COLUMNS] = " "
