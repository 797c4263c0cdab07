//! The resources of `config.json`: which devices a container may use, and what it is limited to from its start on.

use super::{Disk, limits, rights};
use crate::container::config::Limits;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBlockIoBuilder, LinuxCpuBuilder, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources,
    LinuxResourcesBuilder, LinuxThrottleDeviceBuilder,
};

/// The resources of a container whose private area lies on `disk`; without one, input and output have no limit.
pub(super) fn of(limits: &Limits, disk: Option<Disk>) -> Result<LinuxResources, OciSpecError> {
    let mut resources = LinuxResourcesBuilder::default().devices(rights::devices()?);
    if let Some(memory) = limits.memory {
        let bytes = i64::try_from(memory.0).unwrap_or(i64::MAX);
        resources = resources.memory(LinuxMemoryBuilder::default().limit(bytes).build()?);
    }
    if let Some(thousandths) = limits.milli_cpus {
        let cpu = LinuxCpuBuilder::default()
            .quota(limits::quota(thousandths))
            .period(limits::PERIOD);
        resources = resources.cpu(cpu.build()?);
    }
    if let Some(processes) = limits.processes {
        let pids = LinuxPidsBuilder::default().limit(i64::from(processes));
        resources = resources.pids(pids.build()?);
    }
    if let (Some(rate), Some(disk)) = (limits.io, disk) {
        let throttled = LinuxThrottleDeviceBuilder::default()
            .major(i64::from(disk.major))
            .minor(i64::from(disk.minor))
            .rate(rate.0)
            .build()?;
        let io = LinuxBlockIoBuilder::default()
            .throttle_read_bps_device(vec![throttled])
            .throttle_write_bps_device(vec![throttled]);
        resources = resources.block_io(io.build()?);
    }
    resources.build()
}
