"""nginx as a plain proxy of the same pods: what any proxy costs, without a decision.

Knows: its configuration. Does not know: models, gateways.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

HOW_TO_INSTALL = "nginx is not installed; Debian: apt-get install --no-install-recommends nginx-light"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_nginx() -> str | None:
    """Return the program's path; sbin folders are on root's PATH only."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def configuration(folder: Path, port: int, pod_ports: Sequence[int]) -> str:
    """Return nginx.conf: one worker, nothing buffered, connections kept open on both sides, a log line per request."""
    servers = "\n".join(f"    server 127.0.0.1:{each};" for each in pod_ports)
    temporary = "\n".join(f"  {each}_temp_path {folder}/{each};" for each in TEMPORARY)
    return f"""daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
{temporary}
  access_log {folder}/access.log;
  keepalive_requests 1000000;
  upstream pods {{
{servers}
    keepalive 2048;
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://pods;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
