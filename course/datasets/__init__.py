"""Where clips come from: rendered sprites, real handwritten digits, photographs, and a folder of video files."""
