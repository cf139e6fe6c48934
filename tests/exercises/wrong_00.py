"""Plausible wrong answers to the exercise of chapter 00: name, body, and words that the check's line must hold."""

WRONG = {
    "00-backwards": [
        ("the clip as it was", "return clip", "its order of frames must change"),
        ("colours turned round", "return clip.flip(1)", "the colours were turned round"),
        ("upside down", "return clip.flip(2)", "turned upside down"),
        ("mirrored", "return clip.flip(-1)", "the picture was mirrored"),
        ("everything turned round", "return clip.flip(0, 1, 2, 3)", "the picture too"),
        ("a list of frames", "return list(clip)[::-1]", "wanted a tensor (4, 3, 2, 2)"),
        ("nothing returned", "clip.flip(0)", "is there a return?"),
        ("a negative step", "return clip[::-1]", "it stopped with ValueError"),
        ("one frame lost", "return clip[1:].flip(0)", "has shape (3, 3, 2, 2), wanted (4, 3, 2, 2)"),
    ]
}
