"""Runs the program of docs/guide/web_service.md and asks it what the text says.

    web_service_test.py PROGRAM
"""

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request


def main() -> int:
    service = subprocess.Popen([sys.argv[1]], env=os.environ | {"PORT": "0"}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        url = service.stderr.readline().strip().removesuffix("/notes")
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE

        def ask(path: str, body: bytes | None = None, kind: str = "") -> tuple[str, dict]:
            headers = {"Origin": "https://notes.example"} | ({"Content-Type": kind} if kind else {})
            request = urllib.request.Request(url + path, data=body, headers=headers)
            with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
                return answer.read().decode(), dict(answer.headers)

        form = urllib.parse.urlencode({"text": "milk"}).encode()
        added, _ = ask("/notes", form, "application/x-www-form-urlencoded")
        assert json.loads(added) == {"number": 0}, added
        part = (b'--x\r\nContent-Disposition: form-data; name="file"; filename="list"\r\n\r\n'
                b"eggs\nbread\n\r\n--x--\r\n")
        imported, _ = ask("/import", part, "multipart/form-data; boundary=x")
        assert json.loads(imported) == {"added": 2}, imported
        listed, headers = ask("/notes")
        assert json.loads(listed) == ["milk", "eggs", "bread"], listed
        assert headers["Access-Control-Allow-Origin"] == "https://notes.example", headers
        assert headers["Strict-Transport-Security"], headers
        exported, _ = ask("/export")
        assert [json.loads(line) for line in exported.splitlines()] == ["milk", "eggs", "bread"]
        assert ask("/health")[0] == "ok\n"
        service.send_signal(signal.SIGTERM)
        out, err = service.communicate(timeout=60)
        assert service.returncode == 0, (service.returncode, err)
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["path"] for line in lines] == ["/notes", "/import", "/notes", "/export"], out
        assert all(len(line["trace"]) == 32 for line in lines), out
    finally:
        if service.poll() is None:
            service.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
