"""Least privilege: what each program of a site reads and writes in Kafka and Redis, and nothing else.

`kafka_grants` and `redis_rules` are the one declaration; ``gem-bedside access kafka|redis`` prints it as commands of
the servers, docs/security.md explains it, and the tests run the programs with these rights alone.

The programs are the three workers, ``telemetry`` (any producer of windows), ``topics`` (creates them), ``station``,
``operator`` (the command line on alerts, beds and the audit), and ``reader`` (a nurse-station program of another
maker, docs/consume.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.keys import Keys
from streams.site_claim import CLAIMING, claim_group
from streams.topics import Topics

Operation = Literal["Read", "Write", "Describe", "DescribeConfigs", "Create"]
KAFKA_PROGRAMS = ("monitor", "interpreter", "publisher", "telemetry", "topics")
REDIS_PROGRAMS = ("publisher", "station", "operator", "reader")


@dataclass(frozen=True)
class KafkaGrant:
    """One operation that a program may do.

    Parameters
    ----------
    operation : str
        As Kafka's ACLs name it.
    resource : {"topic", "group"}
    name : str
        Name of the topic or consumer group, or the beginning of names.
    prefixed : bool
        ``name`` is the beginning of names.
    """

    operation: Operation
    resource: Literal["topic", "group"]
    name: str
    prefixed: bool = False

    def command(self, user: str) -> str:
        """Arguments of ``kafka-acls.sh --bootstrap-server …`` that add this grant."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"--add --allow-principal 'User:{user}' --operation {self.operation} --{self.resource} '{self.name}'"
            f"{pattern}"
        )


def kafka_grants(program: str, topics: Topics, site: str) -> list[KafkaGrant]:
    """Everything that a program needs in Kafka.

    >>> [g.name for g in kafka_grants("interpreter", Topics(), "main") if g.operation == "Read"]
    ['ecg.flagged', 'ecg.workers', 'ecg.main-interpreter']
    """
    t = topics
    reads, writes = {
        "monitor": (
            (t.windows, t.actions, t.interpretations, t.beds, t.workers),
            (t.beds, t.alerts, t.strips, t.vitals, t.flagged, t.interpretations, t.dead_letter, t.workers),
        ),
        "interpreter": ((t.flagged, t.workers), (t.interpretations, t.dead_letter, t.workers)),
        "publisher": ((t.alerts, t.beds, t.strips, t.vitals, t.workers), (t.actions, t.dead_letter, t.workers)),
        "telemetry": ((), (t.windows,)),
        "topics": ((t.beds,), ()),  # with its group, to claim the prefix for the site
    }[program]
    grants = [KafkaGrant("Read", "topic", name) for name in reads]
    grants += [KafkaGrant("Write", "topic", name) for name in writes]
    if program in ("monitor", "interpreter", "publisher"):
        grants.append(KafkaGrant("Read", "group", f"{t.prefix}{site}-{program}"))
    if program in CLAIMING:
        grants.append(KafkaGrant("Read", "group", claim_group(t.prefix)))
    if program == "topics":
        grants.append(KafkaGrant("Create", "topic", t.prefix, prefixed=True))
    # Every program looks at the number of partitions and the limits of the site's topics.
    grants.append(KafkaGrant("Describe", "topic", t.prefix, prefixed=True))
    grants.append(KafkaGrant("DescribeConfigs", "topic", t.prefix, prefixed=True))
    return grants


def redis_rules(program: str, site: str) -> list[str]:
    """The rules of a program's ACL user, after ``ACL SETUSER <name> reset on ><password>``.

    ``%R~`` is read, ``%W~`` write, ``~`` both, ``&`` a channel, ``+`` a command (Redis 7 or later, Valkey).
    """
    keys = Keys(site)
    alerts, live = keys.alerts("*"), keys.live("*")
    kept = (keys.alert("*"), keys.active("*"), keys.strip("*"), keys.bed("*"), keys.beds("*"), keys.units)
    seen = (alerts, *kept, keys.trend("*"))
    read = [f"%R~{key}" for key in seen]
    commands = ["hello", "ping", "select", "client|setname"]  # not client|setinfo: Redis 7.0 has none
    reads = ["scan", "smembers", "hget", "hgetall", "zrange", "get", "xread", "xrevrange", "xrange"]
    reads += ["hmget", "exists", "xlen", "time"]
    acts = ["multi", "exec", "discard", "xadd"]
    if program == "publisher":
        patterns = [f"~{key}" for key in (*seen, keys.actions, keys.offsets, keys.generations)] + [f"&{live}"]
        commands += ["evalsha", "eval", "script|load", "publish", "time"]
        commands += ["hget", "hset", "hsetnx", "hexists", "hgetall", "hdel", "zadd", "zrem", "sadd", "srem", "set"]
        commands += [
            "pexpireat",
            "pexpire",
            "persist",
            "xadd",
            "xdel",
            "xack",
            "xgroup|create",
            "xreadgroup",
            "xautoclaim",
        ]
    elif program == "station":
        patterns = [*read, f"%W~{keys.actions}", f"%W~{keys.audit}", f"&{live}"]
        commands += [*reads, *acts, "psubscribe", "punsubscribe"]
    elif program == "operator":
        patterns = [*read, f"%W~{keys.actions}", f"~{keys.audit}"]
        commands += [*reads, *acts]
    elif program == "reader":
        patterns = [*read[1:], f"~{alerts}", f"%W~{keys.actions}", f"&{live}"]
        commands += [*reads, "xadd", "xack", "xreadgroup", "xautoclaim", "xgroup|create", "xinfo|groups"]
        commands += ["xinfo|stream", "psubscribe", "punsubscribe", "subscribe", "unsubscribe"]
    else:
        raise KeyError(program)
    return [*patterns, *(f"+{command}" for command in commands)]


def kafka_commands(topics: Topics, site: str) -> Iterator[tuple[str, str]]:
    """Program and arguments of ``kafka-acls.sh``, for users of the programs' names."""
    for program in KAFKA_PROGRAMS:
        for grant in kafka_grants(program, topics, site):
            yield program, grant.command(program)


def redis_commands(site: str) -> Iterator[tuple[str, str]]:
    """Program and ``ACL SETUSER`` of each, for users of the programs' names; the password is left to be filled in."""
    for program in REDIS_PROGRAMS:
        yield program, f"ACL SETUSER {program} reset on >PASSWORD {' '.join(redis_rules(program, site))}"
