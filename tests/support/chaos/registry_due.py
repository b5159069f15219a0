"""How an operation must have ended: by its call, the log, and the generation that was newest when it was first tried.

Written from ``docs/decisions/0002-registry-protocol.md`` alone: the log is replayed from its first entry, and nothing
of how the registry itself decides is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perennial.errors import ConflictError, PromotionRefused
from perennial.registry.entries import LogEntry
from tests.support.chaos.registry_calls import Call

NEVER = PromotionRefused.__name__
MEANWHILE = ConflictError.__name__


class Due:
    """A log, replayed: its entries in order. Where it is damaged, so is what follows from it; nothing is raised.

    ``since`` is everywhere the newest generation when the operation was first tried, 0 for an empty log.
    """

    def __init__(self, entries: Iterable[LogEntry]) -> None:
        self._log = {entry.generation: entry for entry in entries}
        self._force = {0: 0}
        self._replaced: dict[int, int] = {0: 0}
        force = 0
        for generation, entry in self._log.items():
            if entry.kind == "promotion":
                self._replaced[generation], force = force, generation
            elif entry.kind == "rollback":
                force = entry.restores or 0
            self._force[generation] = force

    def wrong_answer(self, call: Call, since: int, told: LogEntry) -> str:
        """Why an operation may not be answered by an entry; empty where it must be answered by this very one."""
        if call.kind == "rollback" and not self._before(since):
            return f"nothing was in force before generation {since}: a refusal was due"
        if call.kind == "end" and not self._trial(since):
            return f"no trial ran at generation {since}: a refusal was due"
        settling = next((entry for entry in self._from(since) if self._settles(call, since, entry)), None)
        if settling is None:
            return f"nothing from generation {since} on settles it"
        if told not in self._standing_for(call, settling):
            return f"generation {settling.generation} settled it"
        return self._wrong_commit(call, since, told) if told.op_id == call.op_id else ""

    def wrong_refusal(self, call: Call, since: int, error: str) -> str:
        """Why an operation may not be refused with an error of this name; empty where it may."""
        due = NEVER
        match call.kind:
            case "promote":
                may = not call.publish
            case "rollback" if target := self._before(since):
                due, following = MEANWHILE, self._log.get(since + 1)
                may = following is not None and not self._settles(call, since, following)
                if not may:
                    return f"generation {since + 1} was free, or its own: it was to go back to generation {target}"
            case "rollback":
                may = True
            case "rollback to":
                may = all(entry.version != call.version for entry in self._log.values() if entry.generation <= since)
            case "end":
                may = not self._trial(since)
            case _:
                may = not call.publish or self._once_untriable(call, since)
        if not may:
            return f"it could be done at generation {since}"
        return "" if error == due else f"not with {error}: {due} was due"

    def _wrong_commit(self, call: Call, since: int, entry: LogEntry) -> str:
        """What an operation's own entry says that it must not."""
        before = self._log.get(entry.generation - 1)
        match call.kind:
            case "promote":
                right, due = entry.kind == "promotion" and entry.version == call.version, "a promotion of its version"
            case "rollback":
                target = self._before(since)
                said = (entry.generation, entry.kind, entry.version, entry.restores)
                right = said == (since + 1, "rollback", self._log[target].version, target)
                due = f"generation {since + 1}, back to generation {target}"
            case "rollback to":
                former = [g for g in self._log if g < entry.generation and self._log[g].version == call.version]
                target = self._force[former[-1]] if former else 0
                said = (entry.generation, entry.kind, entry.version, entry.restores)
                right = bool(target) and said == (entry.generation, "rollback", call.version, target)
                due = f"back to generation {target}" if target else "a refusal"
            case "end":
                right, due = entry.kind == "trial_end" and entry.trial is None, "the end of the trial"
            case _:
                running = before.trial if before else None
                same = running is not None and (running.version, running.mode) == call.trial[:2]
                began = running.began if running and same else entry.generation
                trial = entry.trial
                right = trial is not None and (trial.version, trial.mode, trial.share) == call.trial
                right = right and trial is not None and trial.began == began
                due = f"a trial that began in generation {began}"
        return "" if right else f"{due} was due"

    def _settles(self, call: Call, since: int, entry: LogEntry) -> bool:
        if entry.op_id == call.op_id:
            return True
        match call.kind:
            case "promote" | "rollback to":
                return entry.version == call.version
            case "rollback":
                return entry.version == self._log[self._before(since)].version
            case "end":
                return entry.trial is None or entry.trial.began != self._trial(since)
        trial = entry.trial
        return trial is not None and (trial.version, trial.mode, trial.share) == call.trial

    def _standing_for(self, call: Call, settling: LogEntry) -> Iterator[LogEntry]:
        """The entries that tell of what settled a call: a change of champion, where one was asked for."""
        if call.kind not in ("promote", "rollback", "rollback to") or settling.moves:
            yield settling
            return
        moves = [entry for generation, entry in self._log.items() if generation < settling.generation and entry.moves]
        yield from moves[-1:]
        yield self._log.get(self._force[settling.generation], settling)

    def _once_untriable(self, call: Call, since: int) -> bool:
        """Whether at some moment, before anything settled it, there was nothing to try the version beside."""
        if not since:
            return True
        for entry in self._from(since):
            if self._settles(call, since, entry):
                return False
            if entry.version == call.version:
                return True
        return False

    def _before(self, since: int) -> int:
        """The promotion that the one in force at a generation took the place of; 0 where there was none."""
        before = self._replaced.get(self._force.get(since, 0), 0)
        return before if before in self._log else 0

    def _trial(self, since: int) -> int:
        """The generation in which the trial began that ran at ``since``; 0 where none did."""
        entry = self._log.get(since)
        return entry.trial.began if entry and entry.trial else 0

    def _from(self, since: int) -> Iterator[LogEntry]:
        return (entry for generation, entry in self._log.items() if generation >= since)
