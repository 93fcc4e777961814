//! Agentless backup of VMware virtual machines by Changed Block Tracking.
