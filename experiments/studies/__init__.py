"""Studies: settings times seeds, one file each, in the sizes that its constants name."""
