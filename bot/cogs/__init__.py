"""One cog per feature; each module ends in `setup`."""
