"""What to type: examples below the help of commands."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final = {
    "demo": "fanfold demo --keep",
    "up": """\
fanfold up
FANFOLD_SOURCE_ROOTS=/data FANFOLD_PROGRAMS=programs.py fanfold up --workers 8""",
    "submit": """\
fanfold submit wordcount 'logs/**/*.txt' --watch
fanfold submit --sql 'SELECT country, sum(amount) AS total FROM input GROUP BY country' orders.csv
fanfold submit grep app.log --param pattern=ERROR --tolerate 1% --wait
fanfold submit wordcount ./notes.txt --upload --watch --partial-every 500ms
tail -1000 app.log | fanfold submit wordcount - --json --wait""",
    "plan": "fanfold plan --sql 'SELECT max(amount) FROM input' orders.csv",
    "watch": "fanfold watch $(fanfold submit wordcount 'logs/*.txt')",
    "result": """\
fanfold result j-06
fanfold result --wait j-06 --format csv -o words.csv""",
    "jobs": "fanfold jobs --state running --state queued --tag nightly",
    "failures": "fanfold failures j-06 --json",
    "share": """\
fanfold share j-06
fanfold share j-06 j-07 --ttl 15m --json""",
    "cancel": "fanfold cancel j-06 --reason 'wrong file'",
    "update": "fanfold update j-06 --max-concurrency 2 --tolerate 5%",
    "redrive": "fanfold redrive j-06 --watch",
    "programs": """\
fanfold programs
fanfold programs grep""",
}
"""By the name of the command; ``j-06`` stands for the id that ``fanfold submit`` prints."""
