"""Starts processes that have imported TensorFlow already.

The import takes four seconds of a core, more than most of what tests run in
processes of their own. This process has imported it and nothing of the
project, and forks for each of them. That is no different from a child's own
import: TensorFlow's runtime has not started.

Called with the path of a socket to listen at. A request is a line of JSON:
`arguments` of Python, `folder`, `environment` and the paths `stdout` and
`stderr`; the answer is the process's number and, at its end, its exit code, an
int32 each.
"""

import json
import os
import runpy
import select
import socket
import struct
import sys
import types


def serve(path: str) -> dict:
    """Returns in a child only, with what it is to run."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{path}.new")
        server.listen()
        os.rename(f"{path}.new", path)  # Now it answers.
        while True:
            if sys.stdin in select.select([server, sys.stdin], [], [])[0]:
                sys.exit()  # Whoever started it is gone.
            connection, _ = server.accept()
            if os.fork():
                connection.close()
                reap()
                continue
            request = json.loads(connection.makefile().readline())
            child = os.fork()
            if not child:
                connection.close()
                return request
            connection.sendall(struct.pack("i", child))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(struct.pack("i", code))
            os._exit(0)


def reap() -> None:
    """Forgets children that have ended."""
    while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
        pass


def prepare(request: dict) -> None:
    """Makes this process what `subprocess.Popen` would make."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT), number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = ["", *(each for each in paths if each)]


def run(kind: str, *arguments: str) -> None:
    """Runs `-c CODE`, `-m MODULE` or a script as Python would."""
    if kind == "-c":
        code, *others = arguments
        sys.argv = ["-c", *others]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), main.__dict__)
    elif kind == "-m":
        module, *others = arguments
        sys.argv = [module, *others]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [kind, *arguments]
        # `multiprocessing` takes the folder of its import for the current one.
        path = os.path.abspath(kind)
        sys.path[0] = os.path.dirname(path)
        runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    import tensorflow  # noqa: F401
    import tensorflow_hub  # noqa: F401
    import tensorflow_text  # noqa: F401

    request = serve(sys.argv[1])
    prepare(request)
    run(*request["arguments"])
