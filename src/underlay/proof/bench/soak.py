"""Whether anything is ever left behind: commands ended at random moments, and what then holds.

The rules, each of which a trial can break:

- A killed sandbox takes everything of its lab along.
- A killed `up` leaves a whole lab or, within seconds, no process. One that is interrupted,
  terminated or loses its terminal has cleaned up by itself when it ends.
- Whatever ends `check`, `explain`, `switch` or `converge`, the lab stays up, neither a probe on a
  node nor a process here outlives the probes' deadline, and the next command finds or makes a
  whole lab.
- Whatever ends `down`, the next `down` or `up` finishes it.

A process is recognised by its descent from the soak itself, not by its name.
"""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.errors import EXIT_INTERRUPTED, EXIT_OK, UnderlayError
from underlay.observe.commands import PATIENCE
from underlay.observe.patience import overload
from underlay.proof.bench.soak_lab import SoakLab, waited
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.proof.bench.descendants import Process

VERBS = ("up", "check", "down", "explain", "switch", "converge")
HOLDER = "sandbox"
SIGNALS = {
    "KILL": signal.SIGKILL,
    "INT": signal.SIGINT,
    "TERM": signal.SIGTERM,
    "HUP": signal.SIGHUP,
}
# What a terminal sends goes to all that runs in it. HUP is a terminal that is closed.
TO_GROUP = ("INT",)
# Within how many seconds nothing is left of a killed `up`, on a machine that isn't overloaded.
GONE = 5.0


@dataclass(frozen=True)
class Trial:
    """One command ended by one signal, ``moment`` seconds after its start."""

    number: int
    verb: str
    signal: str
    moment: float
    exit_code: int | None
    gone_s: float | None
    broken: str


class Broken(Exception):
    """A rule that a trial has broken."""


class Soak:
    """Trials on one small lab; ``say`` is handed a line of progress at a time.

    ``ancestor`` is the process from which all that it starts descends: see ``continue_in_child``.
    """

    def __init__(
        self, folder: Path, seed: int, say: Callable[[str], None], *, ancestor: int
    ) -> None:
        self._lab = SoakLab(folder, ancestor)
        self._random = random.Random(seed)  # noqa: S311 -- moments, no secrets
        self._say = say
        self._normal: dict[str, float] = {}

    def run(self, trials: int) -> list[Trial]:
        """Carry out ``trials`` trials; nothing of the lab is left afterwards."""
        done = []
        try:
            if trials:
                self._calibrate()
            for number in range(1, trials + 1):
                done.append(self._trial(number))
        finally:
            with suppress(UnderlayError):
                self._lab.end()
        return done

    def _calibrate(self) -> None:
        """Learn how long each verb takes when nobody disturbs it."""
        self._lab.end()
        for verb in ("up", "check", "explain", "converge", "down", "switch"):
            self._say(f"timing {verb}")
            self._lab.ready_for(verb)
            began = time.monotonic()
            self._lab.prove(*self._words(verb))
            self._normal[verb] = time.monotonic() - began
        self._lab.end()

    def _words(self, verb: str) -> list[str]:
        if verb == "up":
            return ["up", str(self._lab.one)]
        if verb == "switch":
            other = self._lab.two if self._lab.up == self._lab.one.stem else self._lab.one
            return ["switch", str(other), "--lab", self._lab.up]
        return [verb, "--lab", self._lab.up]

    def _trial(self, number: int) -> Trial:
        verb = self._random.choice((*VERBS, HOLDER))
        name = "KILL" if verb == HOLDER else self._random.choice(list(SIGNALS))
        moment = round(self._random.uniform(0, 1.1 * self._normal.get(verb, 0)), 2)
        self._say(f"trial {number}: {verb}, {name} after {moment:.2f} s")
        code, gone, broken = None, None, ""
        try:
            self._lab.ready_for(verb)
            if verb == HOLDER:
                self._lab.kill_sandbox()
                gone = self._nothing_runs("killed sandbox")
            else:
                words = self._words(verb)
                code = self._lab.disturbed(
                    words, moment, SIGNALS[name], whole_group=name in TO_GROUP
                )
                gone = self._after(verb, name, code)
            self._recover(verb)
        except (Broken, UnderlayError) as error:
            detail = getattr(error, "detail", "")
            broken = "\n".join(filter(None, (str(error), detail)))
            self._say(f"trial {number}: {broken}")
            with suppress(UnderlayError):
                self._lab.end()
        return Trial(number, verb, name, moment, code, gone, broken)

    def _after(self, verb: str, name: str, code: int | None) -> float | None:
        """Prove what holds right after the signal; return how long it took to."""
        if code is None:
            raise Broken(f"`{verb}` does not end after SIG{name}")
        expected = {EXIT_OK, -SIGNALS[name], *(() if name == "KILL" else (EXIT_INTERRUPTED,))}
        if code not in expected:
            raise Broken(f"`{verb}` exits with {code} after SIG{name}")
        if verb == "up":
            return self._after_up(name, code)
        if verb == "down":
            return None
        if self._lab.sandbox() is None:
            raise Broken(f"the lab is gone after SIG{name} to `{verb}`")
        began = time.monotonic()
        patience = PATIENCE * overload()
        if waited(lambda: not self._lab.strays(), patience) is None:
            raise Broken(_running(f"`{verb}` leaves", self._lab.strays()))
        if waited(lambda: not self._lab.probes(), patience) is None:
            raise Broken(f"a probe of `{verb}` outlives its deadline")
        return time.monotonic() - began

    def _after_up(self, name: str, code: int) -> float | None:
        if code == EXIT_OK:
            return None
        if name != "KILL" and code != -SIGNALS[name]:
            # It says that it has cleaned up: nothing has to be waited for.
            if left := self._lab.processes():
                raise Broken(_running(f"SIG{name} to `up`", left))
            if self._lab.up:
                raise Broken("an interrupted `up` leaves a record of the lab")
            return 0.0
        gone = waited(lambda: not self._lab.processes(), GONE * overload())
        if gone is None:
            # It may have been over but for its last words: then the lab is up, and whole.
            if strays := self._lab.strays():
                raise Broken(_running(f"SIG{name} to `up`", strays))
            self._lab.prove("check", "--lab", self._lab.up)
        return gone

    def _nothing_runs(self, what: str) -> float:
        gone = waited(lambda: not self._lab.processes(), GONE * overload())
        if gone is None:
            raise Broken(_running(what, self._lab.processes()))
        return gone

    def _recover(self, verb: str) -> None:
        """Prove that the next command finds or makes a whole lab, or ends it."""
        if verb == "down":
            if self._random.random() < 0.5:
                self._lab.prove("up", str(self._lab.one))
                self._lab.prove("check", "--lab", self._lab.up)
            self._lab.end()
            self._nothing_runs("down")
            return
        if verb == "switch":
            self._lab.prove("switch", str(self._lab.two), "--lab", self._lab.up)
        elif verb in ("up", HOLDER):
            self._lab.prove("up", str(self._lab.one))
        elif verb == "converge":
            self._lab.prove("converge", "--lab", self._lab.up)
        done = self._lab.run("check", "--lab", self._lab.up)
        if done.code:
            raise Broken(f"after `{verb}`, {done}\n{done.out[-500:]}{done.err[-500:]}")
        if verb == "switch":
            self._lab.end()


def soak(trials: int, seed: int, say: Callable[[str], None], *, ancestor: int) -> dict[str, Any]:
    """Carry out ``trials`` trials and return the document about them."""
    began = time.monotonic()
    with temporary.folder("soak") as folder:
        done = Soak(folder, seed, say, ancestor=ancestor).run(trials)
    broken = [asdict(trial) for trial in done if trial.broken]
    waits: dict[str, float] = {}
    for trial in done:
        if trial.gone_s is not None:
            waits[trial.verb] = max(waits.get(trial.verb, 0.0), round(trial.gone_s, 2))
    counts = {verb: sum(t.verb == verb for t in done) for verb in (*VERBS, HOLDER)}
    return {
        "seed": seed,
        "trials": len(done),
        "by_verb": counts,
        "broken": broken,
        "longest_gone_s": waits,
        "seconds": round(time.monotonic() - began, 1),
        "state_left": sorted(p.name for p in paths.states().glob("bench-soak-*")),
        "temporary_left": sorted(str(path) for path in temporary.left()),
    }


def _running(what: str, processes: list[Process]) -> str:
    return "\n".join([f"{what}, still running:", *map(str, processes)])
