"""`edge run` as a service of systemd, which starts at boot and comes back when it falls."""
