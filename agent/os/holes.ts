import { constants } from "node:os";
import koffi from "koffi";
import { NativeError } from "./libc.ts";

const lib = koffi.load("libc.so.6");
const fallocate = lib.func("int fallocate(int fd, int mode, int64_t offset, int64_t length)");
const lseek = lib.func("int64_t lseek(int fd, int64_t offset, int whence)");

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SEEK_DATA = 3;
const { EOPNOTSUPP, ENOSYS, EFBIG, EINVAL, EPERM, ENXIO } = constants.errno;
/** Errors of file systems that don't support holes, or files that large. EPERM: a seccomp filter. */
const UNSUPPORTED = [EOPNOTSUPP, ENOSYS, EFBIG, EINVAL, EPERM];

/**
 * Frees the disk space of a range of a file. The range then reads as NULs, and the file keeps its size. Blocks only
 * partly in the range are zeroed there, but not freed. Runs on a thread of koffi's pool.
 */
export function punchHole(fd: number, begin: number, end: number): Promise<void> {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return new Promise((resolve, reject) => {
    fallocate.async(fd, mode, begin, end - begin, (error: unknown, result: number) => {
      if (error) reject(error);
      else if (result === -1) reject(new NativeError("fallocate", koffi.errno()));
      else resolve();
    });
  });
}

/**
 * Whether the file system can punch holes in files that end before `maxSize`.
 * @param fd a file that ends before `maxSize`, open for writing; it is not changed
 */
export async function canPunchHoles(fd: number, maxSize: number): Promise<boolean> {
  try {
    await punchHole(fd, maxSize, maxSize + 1);
    return true;
  } catch (error) {
    return !(error instanceof NativeError && UNSUPPORTED.includes(error.errno));
  }
}

/**
 * The offset of a file's first data after any hole; null if it has no data. Always 0 on a file system without holes.
 */
export function firstData(fd: number): number | null {
  const found = Number(lseek(fd, 0, SEEK_DATA));
  if (found !== -1) return found;
  const error = new NativeError("lseek", koffi.errno());
  if (error.errno === ENXIO) return null;
  if (error.errno === EINVAL) return 0;
  throw error;
}
