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
/** The answers of file systems without holes, or without files as large. EPERM: a seccomp filter. */
const UNSUPPORTED = [EOPNOTSUPP, ENOSYS, EFBIG, EINVAL, EPERM];

/**
 * Gives a part of a file back to the file system; it reads as NULs then, and the file's size stays. Blocks that lie
 * only partly in it stay, their part zeroed. Runs in Node's thread pool.
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
 * @param fd of a file that ends before `maxSize`, open for writing; the file stays as it is
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
 * Where the first bytes of a file are that are not in a hole; null where there are none. A file system without holes
 * says 0.
 */
export function firstData(fd: number): number | null {
  const found = Number(lseek(fd, 0, SEEK_DATA));
  if (found !== -1) return found;
  const error = new NativeError("lseek", koffi.errno());
  if (error.errno === ENXIO) return null;
  if (error.errno === EINVAL) return 0;
  throw error;
}
