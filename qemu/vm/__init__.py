"""Virtual machines for scenarios: the appliance's image in QEMU, with a TPM in software, disks that can fail, and two networks."""
