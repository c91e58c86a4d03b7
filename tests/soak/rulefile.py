"""The rule files of a soak run: each reload gets another one."""

import json

LIMIT = 10  # of each key of the exact rules, in a window
WINDOW = 1_000_000  # microseconds
MAX_KEYS = 20_000  # so few that the memory store is full, and takes back, within seconds
FILLERS = 200  # so many that a rule set which isn't freed shows in resident memory

ALGORITHMS = ("fixed-window", "sliding-window", "token-bucket", "sliding-log")

# That stays as it is, and its counts with it, through all reloads.
EXACT = [
    {"name": f"exact-{algorithm}", "match": {"api_key": {"prefix": f"{algorithm}-"}},
     "key": ["api_key"], "on_store_error": "deny",
     "limits": [{"limit": LIMIT, "window": "1s", "algorithm": algorithm}]}
    for algorithm in ("fixed-window", "sliding-log")
]

PROXIED = {
    "name": "proxied", "match": {"path": {"prefix": "/proxied"}}, "key": ["src", "api_key"],
    "limits": [{"limit": 1000, "window": "2s", "algorithm": "token-bucket", "burst": 1000}],
}


def many(n):
    """What millions of keys come under; it changes with each reload."""
    algorithm = ALGORITHMS[n % 4]
    window = f"{1 + n % 3}s"
    rules = [
        {"name": "many", "match": {"path": "/many"}, "key": ["src"],
         "limits": [{"limit": 2 + n % 5, "window": window, "algorithm": algorithm}],
         "penalty": {"after": 20, "within": "1s", "for": "2s"}},
        {"name": "leased", "match": {"path": "/many", "api_key": {"regex": "^key-[0-9]*[05]$"}},
         "key": ["api_key"], "consistency": "leased",
         "limits": [{"limit": 50, "window": "1s", "algorithm": "token-bucket"}]},
    ]
    if n % 2:
        rules.append({"name": f"shadow-{n % 10}", "match": {"path": "/many"}, "key": ["src/16/48"],
                      "mode": "shadow", "limits": [{"limit": 20, "window": "1s"}]})
    return rules


def fillers(n):
    return [
        {"name": f"filler-{(n * 7 + i) % 1000}", "match": {"path": f"/filler/{n}/{i}",
                                                           "api_key": {"in": [f"a{i}", f"b{n}"]}},
         "key": ["src", "api_key"], "limits": [{"limit": i + 1, "window": "1m"}]}
        for i in range(FILLERS - n % 50)
    ]


def text(n, listen, admin, store):
    """The n-th rule file of an agent."""
    return "\n".join([
        f"listen: {json.dumps([listen])}",
        f"admin: {json.dumps(admin)}",
        "workers: 2",
        f"store: {json.dumps({**store, 'max_keys': MAX_KEYS})}",
        f"rules: {json.dumps([*EXACT, PROXIED, *many(n), *fillers(n)])}",
        "",
    ])
