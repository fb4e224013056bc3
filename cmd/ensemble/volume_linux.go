package main

import "golang.org/x/sys/unix"

// Bavail, not Bfree: a part of a disk is kept for root, and Ensemble should not be root.
// A kind that is not in the table is not judged.

// volumeOf looks at the file system of a folder.
func volumeOf(dir string) (volume, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return volume{}, err
	}
	// The numbers of statfs(2).
	kinds := map[uint32]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
		unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "cifs",
		unix.V9FS_MAGIC: "9p", unix.FUSE_SUPER_MAGIC: "fuse", 0x2fc12fc1: "zfs", unix.F2FS_SUPER_MAGIC: "f2fs",
	}
	return volume{free: s.Bavail * uint64(s.Bsize), kind: kinds[uint32(s.Type)]}, nil
}
