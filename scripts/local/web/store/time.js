/** The time of day as the shopper reads it: 14:30 or 2:30 PM. */
export function formatTime(date) {
  return date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
