"""Make labels.txt: lists of labels in place of tiny.mien's, and whether readers take them.

A line a list: accepted or refused, why, the labels' bytes in hexadecimal (-: none). All take as
much of the file as tiny.mien's own, 2 bytes a label for its length. Tests of C++ and of Python read
it.
"""

from pathlib import Path

OWN = (b"angry", b"disgust", b"fear", b"happy", b"sad", b"surprise", b"neutral")

ACCEPTED = {
    "as_they_are": {},
    "spaces": {4: b" a "},
    "comma_and_quote": {3: b'a,b"c'},
    "two_bytes": {2: "f\u00e9r".encode()},
    "three_bytes": {4: "\u20ac".encode()},
    "four_bytes": {2: "\U0001f600".encode()},
    "combining": {4: "e\u0301".encode()},
    "last_character": {2: "\U0010ffff".encode()},
    "before_the_surrogates": {4: "\ud7ff".encode()},
    "behind_the_surrogates": {4: "\ue000".encode()},
    "no_break_space": {4: "a\u00a0".encode()},
}
REFUSED = {
    "empty": {4: b"", 2: b"fearful"},
    "twice": {0: b"happy"},
    "line_feed": {4: b"sa\n"},
    "zero": {4: b"sa\0"},
    "tab": {4: b"\tad"},
    "escape": {2: b"\x1b[2J"},
    "delete": {4: b"s\x7fd"},
    "next_line": {4: "a\u0085".encode()},
    "first_of_c1": {4: "\u0080a".encode()},
    "last_of_c1": {4: "a\u009f".encode()},
    "latin_1": {4: b"s\xe9d"},
    "cut_off": {4: b"sa\xc3"},
    "continuation_alone": {4: b"\x80ad"},
    "two_bytes_for_one": {4: b"\xc0\xafa"},
    "three_bytes_for_one": {4: b"\xe0\x80\xaf"},
    "four_bytes_for_one": {2: b"\xf0\x80\x80\xaf"},
    "surrogate": {4: b"\xed\xa0\x80"},
    "beyond_unicode": {2: b"\xf4\x90\x80\x80"},
    "byte_ff": {4: b"\xffad"},
    "one_too_few": (*OWN[:5], b"surprise_neutral_"),
    "one_too_many": (*OWN[:5], b"surpri", b"se", b"neutral"[:5]),
}


def size(labels: tuple[bytes, ...]) -> int:
    return sum(2 + len(label) for label in labels)


def main() -> None:
    lines = []
    for outcome, cases in ("accepted", ACCEPTED), ("refused", REFUSED):
        for why, case in cases.items():
            labels = case
            if isinstance(case, dict):
                labels = tuple(case.get(i, label) for i, label in enumerate(OWN))
            assert size(labels) == size(OWN), why
            lines.append(" ".join([outcome, why, *(label.hex() or "-" for label in labels)]))
    path = Path(__file__).parent / "labels.txt"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
