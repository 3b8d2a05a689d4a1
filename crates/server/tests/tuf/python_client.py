"""The reference client: follows a repository from a first root and prints a target. Arguments: its directory, the
mirror's URL, the file of the first root, the target's name."""

import sys
from pathlib import Path

from tuf.ngclient import Updater

directory, mirror, root, name = sys.argv[1:]
downloads = Path(directory) / "downloads"
downloads.mkdir(parents=True, exist_ok=True)
updater = Updater(
    directory,
    mirror,
    target_dir=str(downloads),
    target_base_url=mirror + "/targets/",
    bootstrap=Path(root).read_bytes(),
)
updater.refresh()
target = updater.get_targetinfo(name)
path = updater.find_cached_target(target) or updater.download_target(target)
print(Path(path).read_text(), end="")
