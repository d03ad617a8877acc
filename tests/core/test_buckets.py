"""Which bucket a user is in, and that sids say it."""

from __future__ import annotations

from collections import Counter

import redis.crc

from sessiongate.core.buckets import BUCKETS, WIDTH, bucket_names, bucket_of, new_sid

SLOTS = 16384


def test_the_buckets_lie_evenly_over_the_slots_of_a_cluster() -> None:
    slots = sorted(
        redis.crc.key_slot(b"sessiongate:{%b}:x" % name.encode()) for name in bucket_names()
    )
    assert len(set(slots)) == BUCKETS
    for nodes in (3, 4, 6, 10, 16, 30):
        share = Counter(slot * nodes // SLOTS for slot in slots)
        assert max(share.values()) - min(share.values()) <= 2, nodes


def test_users_are_spread_evenly_over_the_buckets() -> None:
    for form in ("user-{}", "{}", "{}@example.org", "\N{GRINNING FACE} {}"):
        share = Counter(bucket_of(form.format(number)) for number in range(100 * BUCKETS))
        assert len(share) == BUCKETS
        assert max(share.values()) < 160, form


def test_a_sid_begins_with_the_bucket_of_its_user_where_the_store_is_sharded() -> None:
    sids = {new_sid("alice", sharded=True) for _ in range(100)}
    assert len(sids) == 100
    assert {sid[:WIDTH] for sid in sids} == {bucket_of("alice")}
    assert {len(sid) for sid in sids} == {len(new_sid("alice", sharded=False))} == {22}
