"""nbgrader on the hub: one course, one exchange. Every server reads this; a course folder has settings of its own."""

import os
from pathlib import Path

c = get_config()  # noqa: F821 (nbgrader puts it here)

c.CourseDirectory.course_id = "video_generation_from_scratch"
c.Exchange.root = os.environ.get("COURSE_EXCHANGE", "/srv/nbgrader/exchange")

if folder := os.environ.get("COURSE_TEACHING"):
    c.CourseDirectory.root = str(Path.home() / folder)  # the form grader wants it inside of the home
