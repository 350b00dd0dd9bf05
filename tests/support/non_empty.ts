/** The things as a list; throws when there are none, since what holds of each of them would hold of nothing. */
export function nonEmpty<T>(things: Iterable<T>): T[] {
  const list = [...things];
  if (list.length === 0) throw new Error("an empty list: nothing is looked at");
  return list;
}
