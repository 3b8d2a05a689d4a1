"""The reference client, for as long as a test runs: one request per line, one answer per line."""

import json
import os
import sys

from tuf.ngclient import Updater


def serve(request):
    os.makedirs(request["targets"], exist_ok=True)
    updater = Updater(
        request["metadata"],
        request["metadata_url"],
        target_dir=request["targets"],
        target_base_url=request["targets_url"],
        bootstrap=None,
    )
    updater.refresh()
    for name in request["names"]:
        target = updater.get_targetinfo(name)
        if target is None:
            raise ValueError("no such target")
        if updater.find_cached_target(target) is None:
            updater.download_target(target)


for line in sys.stdin:
    try:
        serve(json.loads(line))
        answer = {"done": True, "error": ""}
    except Exception as error:
        answer = {"done": False, "error": repr(error)}
    print(json.dumps(answer), flush=True)
