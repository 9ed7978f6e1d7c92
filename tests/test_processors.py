"""How many processors there are: affinity, the quotas of control groups, what is asked for."""

import os

import pytest

import graphwright as gw
from graphwright.runtime.processors import processors, threads_asked_for


@pytest.fixture
def sixteen(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


V1 = "30 23 0:26 {inside} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V2 = "30 23 0:26 {inside} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
OTHERS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup c rw,memory
"""


def version_2(root, group, inside="/", **limits):
    files = {"proc/self/cgroup": f"0::{group}\n"}
    files["proc/self/mountinfo"] = OTHERS + V2.format(inside=inside)
    for folder, limit in limits.items():
        files[f"sys/fs/cgroup/{folder.replace('_', '/').strip('/')}/cpu.max"] = limit
    write(root, files)


def version_1(root, group, inside="/", **limits):
    files = {"proc/self/cgroup": f"5:memory:{group}\n4:cpu,cpuacct:{group}\n0::/other\n"}
    files["proc/self/mountinfo"] = OTHERS + V1.format(inside=inside)
    for folder, (quota, period) in limits.items():
        at = f"sys/fs/cgroup/cpu,cpuacct/{folder.replace('_', '/').strip('/')}"
        files |= {f"{at}/cpu.cfs_quota_us": quota, f"{at}/cpu.cfs_period_us": period}
    write(root, files)


def test_without_control_groups_affinity_counts(tmp_path, sixteen):
    assert processors(tmp_path) == 16


def test_without_affinity_all_processors_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert processors(tmp_path) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path) == 1


def test_here_it_is_a_number_that_affinity_allows():
    assert 1 <= processors() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("250000 100000", 3),
        ("50000 100000", 1),
        ("1000 1000000", 1),
        ("6400000 100000", 16),
        ("150000", 16),
        ("", 16),
        ("0 100000", 16),
        ("100000 0", 16),
        ("many few", 16),
    ],
)
def test_version_2_gives_quota_and_period(tmp_path, sixteen, limit, count):
    version_2(tmp_path, "/user/job", user_job=limit)
    assert processors(tmp_path) == count


@pytest.mark.parametrize(
    ("quota", "period", "count"),
    [
        ("-1", "100000", 16),
        ("400000", "100000", 4),
        ("350000", "100000", 4),
        ("30000", "100000", 1),
        ("100000", "50000", 2),
        ("", "", 16),
    ],
)
def test_version_1_gives_quota_and_period(tmp_path, sixteen, quota, period, count):
    version_1(tmp_path, "/user/job", user_job=(quota, period))
    assert processors(tmp_path) == count


def test_the_tightest_of_all_groups_above_holds(tmp_path, sixteen):
    version_2(tmp_path, "/a/b/c", a="300000 100000", a_b="max 100000", a_b_c="800000 100000")
    assert processors(tmp_path) == 3


def test_groups_beside_do_not_count(tmp_path, sixteen):
    version_2(tmp_path, "/a/b", a_c="100000 100000", a_b_d="100000 100000", d="100000 100000")
    assert processors(tmp_path) == 16


def test_in_a_container_the_mount_point_is_the_group_itself(tmp_path, sixteen):
    version_2(tmp_path, "/", _="200000 100000")
    assert processors(tmp_path) == 2


def test_a_part_of_the_hierarchy_may_be_mounted(tmp_path, sixteen):
    version_1(tmp_path, "/docker/f00/x", inside="/docker/f00", x=("200000", "100000"))
    assert processors(tmp_path) == 2


def test_a_group_outside_of_what_is_mounted_has_the_mount_points_quota(tmp_path, sixteen):
    version_1(tmp_path, "/elsewhere", inside="/docker/f00", _=("500000", "100000"))
    assert processors(tmp_path) == 5
    version_2(tmp_path, "/../other", _="600000 100000")
    assert processors(tmp_path) == 6


def test_a_mount_point_may_have_blanks(tmp_path, sixteen):
    line = V2.format(inside="/").replace("/sys/fs/cgroup", "/sys/my\\040groups")
    limits = {"sys/my groups/cpu.max": "300000 100000"}
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": line, **limits})
    assert processors(tmp_path) == 3


def test_unreadable_files_do_not_count(tmp_path, sixteen):
    write(tmp_path, {"proc/self/cgroup": "nonsense\n\n0::/x\n", "proc/self/mountinfo": "1 2 - 3\n"})
    assert processors(tmp_path) == 16
    (tmp_path / "proc/self/mountinfo").write_bytes(b"\xff\xfe\xff")
    assert processors(tmp_path) == 16


def test_the_environment_asks_for_threads(monkeypatch):
    monkeypatch.delenv("GRAPHWRIGHT_THREADS", raising=False)
    assert threads_asked_for() is None
    for text, count in [("", None), ("3", 3), (" 12 ", 12), ("1024", 1024)]:
        monkeypatch.setenv("GRAPHWRIGHT_THREADS", text)
        assert threads_asked_for() == count


@pytest.mark.parametrize("text", ["0", "-1", "two", "2.0", "1025", "1e2"])
def test_what_is_no_number_of_threads_is_refused(monkeypatch, text):
    monkeypatch.setenv("GRAPHWRIGHT_THREADS", text)
    with pytest.raises(gw.AttributeValueError) as caught:
        threads_asked_for()
    assert str(caught.value).startswith(f"GRAPHWRIGHT_THREADS={text}: no number of threads\n")
    assert "hint: a whole number from 1 to 1024" in str(caught.value)
