//! Do the writes say what runc's say? Next: tests/spec.rs.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn writes(found: Result<Limits, Error>) -> Vec<String> {
    found.unwrap().writes.iter().map(|w| format!("{} {}={}", w.controller, w.file, w.value)).collect()
}

fn resources(json: serde_json::Value) -> LinuxResources {
    serde_json::from_value(json).unwrap()
}

#[test]
fn dockers_own_resources() {
    let docker = resources(json!({
        "memory": {"limit": 536870912, "swap": 1073741824, "disableOOMKiller": false},
        "cpu": {"shares": 0, "quota": 100000, "period": 100000},
        "pids": {"limit": 100},
        "blockIO": {"weight": 0},
    }));
    let expected = [
        "memory memory.limit_in_bytes=536870912",
        "memory memory.memsw.limit_in_bytes=1073741824",
        "cpu cpu.cfs_period_us=100000",
        "cpu cpu.cfs_quota_us=100000",
        "pids pids.max=100",
    ];
    assert_eq!(writes(v1(&docker)), expected);
    let expected = [
        "memory memory.swap.max=536870912",
        "memory memory.max=536870912",
        "cpu cpu.max=100000 100000",
        "pids pids.max=100",
    ];
    assert_eq!(writes(v2(&docker)), expected);
    assert!(v1(&docker).unwrap().notes.is_empty() && v2(&docker).unwrap().notes.is_empty());
}

#[test]
fn no_limit_is_max_and_zero_is_not_set() {
    let none = resources(json!({"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}));
    assert_eq!(
        writes(v2(&none)),
        [
            "memory memory.swap.max=max",
            "memory memory.max=max",
            "cpu cpu.max=max 100000",
            "pids pids.max=max"
        ]
    );
    assert_eq!(
        writes(v1(&none)),
        [
            "memory memory.limit_in_bytes=-1",
            "memory memory.memsw.limit_in_bytes=-1",
            "cpu cpu.cfs_quota_us=-1",
            "pids pids.max=max"
        ]
    );
    let same = resources(json!({"memory": {"limit": 1000, "swap": 1000}, "pids": {"limit": 0}}));
    assert_eq!(writes(v2(&same)), ["memory memory.swap.max=0", "memory memory.max=1000"]);
    for bad in [json!({"limit": 10, "swap": 9}), json!({"swap": 9}), json!({"limit": 10, "swap": i64::MIN})] {
        let bad = resources(json!({"memory": bad}));
        assert!(v1(&bad).is_err() && v2(&bad).is_err());
    }
}

#[test]
fn the_rest_has_its_files_or_is_said() {
    let rest = resources(json!({
        "memory": {"reservation": 5, "swappiness": 10, "disableOOMKiller": true, "kernel": 1},
        "cpu": {"shares": 1024, "burst": 7, "cpus": "0-1", "mems": "0", "realtimePeriod": 1, "realtimeRuntime": 2},
        "blockIO": {
            "weight": 500, "leafWeight": 10,
            "weightDevice": [{"major": 8, "minor": 0, "weight": 20, "leafWeight": 30}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}],
        },
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
        "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}},
        "unified": {"memory.high": "9"},
    }));
    assert_eq!(
        writes(v1(&rest)),
        [
            "memory memory.soft_limit_in_bytes=5",
            "memory memory.oom_control=1",
            "memory memory.swappiness=10",
            "cpu cpu.shares=1024",
            "cpu cpu.cfs_burst_us=7",
            "cpu cpu.rt_period_us=1",
            "cpu cpu.rt_runtime_us=2",
            "cpuset cpuset.cpus=0-1",
            "cpuset cpuset.mems=0",
            "blkio blkio.weight=500",
            "blkio blkio.bfq.weight=500",
            "blkio blkio.leaf_weight=10",
            "blkio blkio.weight_device=8:0 20",
            "blkio blkio.bfq.weight_device=8:0 20",
            "blkio blkio.leaf_weight_device=8:0 30",
            "blkio blkio.throttle.read_bps_device=8:0 600",
            "blkio blkio.throttle.write_iops_device=8:16 0",
            "hugetlb hugetlb.2MB.limit_in_bytes=4194304",
            "hugetlb hugetlb.2MB.rsvd.limit_in_bytes=4194304",
            "net_cls net_cls.classid=1048577",
            "net_prio net_prio.ifpriomap=eth0 5",
            "rdma rdma.max=mlx5_1 hca_handle=3 hca_object=100",
        ]
    );
    assert_eq!(v1(&rest).unwrap().notes.len(), 2);
    assert_eq!(
        writes(v2(&rest)),
        [
            "memory memory.low=5",
            "cpu cpu.weight=100",
            "cpu cpu.max.burst=7",
            "cpuset cpuset.cpus=0-1",
            "cpuset cpuset.mems=0",
            "io io.bfq.weight=500",
            "io io.weight=4950",
            "io io.bfq.weight=8:0 20",
            "io io.max=8:0 rbps=600",
            "io io.max=8:16 wiops=max",
            "hugetlb hugetlb.2MB.max=4194304",
            "hugetlb hugetlb.2MB.rsvd.max=4194304",
            "rdma rdma.max=mlx5_1 hca_handle=3 hca_object=100",
            "memory memory.high=9",
        ]
    );
    assert_eq!(v2(&rest).unwrap().notes.len(), 6);
    assert!(v2(&resources(json!({"unified": {"../x.y": "1"}}))).is_err());
    assert!(v1(&resources(json!({"memory": {"swappiness": 101}}))).is_err());
}

#[test]
fn device_rules_are_not_limits() {
    let rules = resources(json!({"devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": true, "access": "r"},
        {"allow": true, "type": "b", "major": -1, "access": "m"},
    ]}));
    assert!(writes(v1(&rules)).is_empty(), "one place says them: kernel::devices");
    assert!(writes(v2(&rules)).is_empty(), "on v2 it is a program, not a file");
}

#[test]
fn weights_meet_their_ends_and_their_default() {
    let shares = [(2, 1), (1024, 100), (2000, 170), (262_144, 10_000), (u64::MAX, 10_000), (1, 1)];
    for (shares, weight) in shares {
        assert_eq!(weight_of_shares(shares), weight, "{shares}");
    }
    assert_eq!([10, 1000, 0, 65535].map(weight_of_blkio), [1, 10_000, 1, 10_000]);
}

proptest! {
    #[test]
    fn more_shares_never_weigh_less(a in 0u64..300_000, b in 0u64..300_000) {
        let (a, b) = (a.min(b), a.max(b));
        prop_assert!(weight_of_shares(a) <= weight_of_shares(b));
        prop_assert!((1..=10_000).contains(&weight_of_shares(b)));
    }

    #[test]
    fn any_memory_is_written_or_refused(limit: i64, swap: i64) {
        let any = resources(json!({"memory": {"limit": limit, "swap": swap}}));
        let (one, two) = (v1(&any), v2(&any));
        prop_assert_eq!(one.is_ok(), two.is_ok());
        for write in two.iter().flat_map(|limits| &limits.writes) {
            prop_assert!(write.value == "max" || write.value.parse::<u64>().is_ok(), "{:?}", write);
        }
    }
}
