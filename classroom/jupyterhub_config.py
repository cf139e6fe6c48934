"""JupyterHub for a class on one server: people of the operating system, each with a server, limits and a workbook.

Who may log in is who is in one of two groups of the operating system: ``learners`` and ``teachers``. nbgrader's
exchange knows people by their operating-system user, too: the name in the gradebook is the name at the login.
"""

import grp
import os
import pwd
import sys
from pathlib import Path

c = get_config()  # noqa: F821 (JupyterHub puts it here)

CLASSROOM = Path(__file__).resolve().parent
COURSE = "video-generation-from-scratch"  # the folder in everybody's home
TEACHERS = "teachers"


def teaches(spawner):
    """Return whether a person is in the group of teachers."""
    name = spawner.user.name
    try:
        return grp.getgrnam(TEACHERS).gr_gid in os.getgrouplist(name, pwd.getpwnam(name).pw_gid)
    except KeyError:  # no such group on this machine
        return False


def settings_for(spawner):
    """Return where a person's server looks for settings: a learner's does without the tools for graders."""
    folders = [CLASSROOM] if teaches(spawner) else [CLASSROOM / "learners", CLASSROOM]
    return os.pathsep.join(map(str, folders))


def teaching_for(spawner):
    """Return the folder in a teacher's home that holds the assignments, and nothing for a learner."""
    return "teaching" if teaches(spawner) else ""


# The door. TLS ends at a web server in front; passwords must not travel without it.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {"learners", TEACHERS}
# Nobody is the hub's administrator: whoever grades runs learners' code, and root of the machine needs no such page.

# A server for each. The limits are enforced by systemd; the README says what they were measured against.
c.JupyterHub.spawner_class = "systemdspawner.SystemdSpawner"
c.Spawner.mem_limit = "3G"
c.Spawner.cpu_limit = 2.0
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.disable_user_sudo = True
c.Spawner.cmd = [str(CLASSROOM / "start-server")]
c.Spawner.default_url = f"/lab/tree/{COURSE}/workbook"
c.Spawner.environment = {
    "COURSE_REPOSITORY": os.environ["COURSE_REPOSITORY"],  # where the course is pulled from
    "COURSE_BRANCH": os.environ.get("COURSE_BRANCH", "main"),
    "COURSE_FOLDER": COURSE,
    "COURSE_EXCHANGE": os.environ.get("COURSE_EXCHANGE", "/srv/nbgrader/exchange"),
    "COURSE_TEACHING": teaching_for,
    "JUPYTER_CONFIG_PATH": settings_for,
    "OMP_NUM_THREADS": "1",  # many people on few cores: threads of one would wait for those of another
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # the first start fetches the course
c.JupyterHub.concurrent_spawn_limit = 100  # a class arrives at once; beyond it there is an error page
c.JupyterHub.cleanup_servers = False  # the hub may be restarted while people work

# A server whose browser and kernels have been idle for an hour is stopped; files stay.
c.JupyterHub.services = [
    {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    },
]
