// In the place of signal-exit, which proper-lockfile has to remove its locks by: that one takes a score of signals and replaces
// functions of Node's own process object. A lock of a process that a signal has ended is taken over at once.
module.exports = (listener) => process.once('exit', listener);
