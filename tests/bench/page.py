"""The rows as Markdown, put into pages between markers."""

import re
import textwrap


def table(rows):
    """rows: [(number, [Line])]."""
    text = "| # | | sluice | beside it | ratio | target | |\n|---|---|---|---|---|---|---|\n"
    for number, lines in rows:
        for line in lines:
            verdict = {True: "met", False: "**missed**", None: ""}[line.met]
            text += (f"| {number} | {line.what} | {line.ours} | {line.beside} | {line.ratio} | "
                     f"{line.target} | {verdict} |\n")
    return text


def between(text, name, content):
    """The text with what stands between <!-- bench:NAME --> and <!-- bench:end --> replaced."""
    replaced, count = re.subn(
        rf"(<!-- bench:{name} -->\n).*?(<!-- bench:end -->)",
        lambda found: found[1] + content + found[2], text, flags=re.S)
    if count != 1:
        raise ValueError(f"{count} places for bench:{name}, expected 1")
    return replaced


def about(number):
    """In two digits, since it is no more exact."""
    digits = max(len(str(int(number))) - 2, 0)
    return f"{round(number, -digits):,.0f}"


def sizing(numbers):
    """What it means for who has to choose machines: sentences of a list, from what rows measured."""
    said = []
    if "request_us_2.6" in numbers and "request_us_3.2" in numbers:
        old, new = numbers["request_us_2.6"], numbers["request_us_3.2"]
        said.append(
            f"Behind one HAProxy thread the agent takes {old:.1f} us of CPU a request (2.6) or "
            f"{new:.1f} us (3.2, which sends nearly each question by itself) with all variables "
            f"answered: a core has room for about {about(1e6 / old)} or {about(1e6 / new)} "
            f"requests/s. HAProxy itself needs several times as much, so one of the agent's cores "
            f"serves several of HAProxy's threads (row 3).")
    if "batched_us" in numbers:
        said.append(f"Where many questions come at once, a core decides about "
                    f"{about(1e6 / numbers['batched_us'])} a second (row 2).")
    if "server_us" in numbers:
        shard = about(0.7 * 1e6 / numbers["server_us"])
        said.append(
            f"An exact decision costs Redis {numbers['server_us']:.1f} us (row 4): at 70 % of its "
            f"core, a shard serves {shard} decisions/s on keys that are all different, and N/s need "
            f"N / {shard} shards. A key that many ask for costs a call a round trip, not one a "
            f"request (row 5); what is refused costs Redis nothing (row 7).")
    if "leased_calls" in numbers:
        said.append(f"With `consistency: leased` it is {numbers['leased_calls']:.2g} calls in 100 "
                    f"decisions, keys by Zipf's law (row 6).")
    if "bytes_a_key" in numbers:
        said.append(f"A key in memory takes {numbers['bytes_a_key']:.0f} bytes: a million clients, "
                    f"{numbers['bytes_a_key']:.0f} MB (row 10).")
    return "".join(
        textwrap.fill(sentence, 112, initial_indent="- ", subsequent_indent="  ",
                      break_long_words=False, break_on_hyphens=False) + "\n"
        for sentence in said)
