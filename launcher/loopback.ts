/** Whether an address is this host's own: 127.0.0.0/8, ::1, or the former as an IPv6 address. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::1|(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(address);
}
