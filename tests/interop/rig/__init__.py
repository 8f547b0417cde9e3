"""The rig that drives a real `switchboard` with programs nobody here wrote: sipp and baresip."""
