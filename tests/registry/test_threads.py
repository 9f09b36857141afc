"""One Registry, used by eight threads at once."""

from concurrent.futures import ThreadPoolExecutor

THREADS, EACH = 8, 4


def test_8_threads_publish_and_read_through_one_registry(registry, make_draft, make_evaluation):
    drafts = [make_draft("acme/shared", seed=seed) for seed in range(THREADS * EACH)]

    def work(turn: int) -> list[int]:
        numbers = []
        for draft in drafts[turn * EACH :][:EACH]:
            info = registry.publish(draft)
            registry.record_evaluation(info.digest, info.digest, make_evaluation())
            assert registry.patch(info.label).requests
            assert registry.evaluations(info.digest)
            assert registry.versions(name="acme/shared")
            assert registry.log(reference=info.label)
            numbers.append(info.version)
        return numbers

    with ThreadPoolExecutor(THREADS) as pool:
        numbers = sorted(number for found in pool.map(work, range(THREADS)) for number in found)
    assert numbers == list(range(1, THREADS * EACH + 1))
    assert registry.examine(full=True) == []


def test_threads_that_publish_the_same_get_one_version(registry, make_draft):
    drafts = [make_draft(seed=1) for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(registry.publish, drafts))
    assert {info.label for info in found} == {"acme/tongues@1"}
    assert sum(info.is_new for info in found) == 1
    assert len(registry.log()) == 2
