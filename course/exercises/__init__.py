"""What is asked in the chapters: how an answer is checked (``checking``), and one module of exercises per chapter.

An exercise itself, with its solution, stands once, in its chapter; here is what its answer must fulfil, and the hints.
"""
