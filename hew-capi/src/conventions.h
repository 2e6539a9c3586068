/* Hew: actors, on one machine and across a cluster. This file is generated; see hew-capi/tests/header.rs.
 *
 * Conventions
 *
 * Memory.    A pointer that is not NULL points to as much readable memory (for results: writable) as its type and the size
 *            beside it say, aligned for its type, for as long as the call lasts. A text ends with NUL and is UTF-8. Every
 *            function accepts NULL for every pointer: it fails and says so, or does nothing. Data is copied; the caller
 *            keeps its buffer. What a function gives out "from malloc" the caller frees with free().
 * Handles.   A HewActor *, HewNode * and the like is a number in the shape of a pointer. One that was freed, is of another
 *            kind, or never was, is found out; the call fails with HEW_ERR_STALE or HEW_ERR_INVALID.
 * Failures.  int results: 0 is success, a negative HEW_ERR_... a failure, unless stated. Every call that fails leaves a text
 *            for its thread: hew_last_error(). A panic inside of the library becomes HEW_ERR_PANIC, NULL or 0.
 * Callbacks. Functions of the program run on threads of the library, never under one of its locks. They may call any
 *            function of this header except those that wait for the object which calls them to stop. A handler may wait:
 *            a spare thread takes its place, for up to 64 of them at once. hew_panic() leaves a handler for good. No C++
 *            exception may leave a function that the library calls.
 */
