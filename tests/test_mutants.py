"""The deliberate faults of mutants.txt still apply to the sources."""

import mutants


def test_every_fault_applies_to_the_sources_as_they_are() -> None:
    faults = mutants.read_mutants()
    assert [problem for fault in faults if (problem := fault.problem())] == []
    assert len({fault.what for fault in faults}) == len(faults) >= 45
    assert all(fault.old != fault.new for fault in faults)
