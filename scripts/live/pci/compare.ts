/** What one collection says that the one before did not. */
import { join } from "node:path";
import { type EvidenceFile, evidenceFile, type Manifest, manifestFile, type Piece } from "./evidence.ts";

/** A collection as it lies in its folder. */
export interface Collection {
  folder: string;
  manifest: Manifest;
  files: EvidenceFile[];
}

/** Folders of collections in a folder of evidence. */
export async function collectionFolders(out: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(out)).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  return entries.filter(({ name, isDirectory }) => isDirectory && /^\d{4}-\d{2}-\d{2}(?:-\d+)?$/.test(name))
    .map(({ name }) => name);
}

/** Reads collections, oldest first. */
export async function readCollections(out: string, folders: string[]): Promise<Collection[]> {
  const found = await Promise.all(folders.map(async (folder): Promise<Collection> => {
    const read = async (name: string): Promise<unknown> =>
      JSON.parse(await Deno.readTextFile(join(out, folder, name)));
    const manifest = manifestFile.parse(await read("manifest.json"));
    const ids = Object.keys(manifest.statuses);
    const files = await Promise.all(ids.map(async (id) => evidenceFile.parse(await read(`${id}.json`))));
    return { folder, manifest, files };
  }));
  return found.sort((a, b) => a.manifest.collected_at.localeCompare(b.manifest.collected_at));
}

/** The differences, one line each: requirements by status, and evidence by what was found and looked at. */
export function changesBetween(before: EvidenceFile[], after: EvidenceFile[]): string[] {
  const statuses = (files: EvidenceFile[]) =>
    new Map(files.map(({ requirement, status }) => [requirement, status]));
  const changes = differences(
    statuses(before),
    statuses(after),
    (id, was, is) =>
      was === undefined
        ? `${id} is new: ${is}`
        : is === undefined
        ? `${id} is gone`
        : `${id}: ${was} → ${is}`,
  );
  const [old, current] = [pieces(before), pieces(after)];
  for (const [name, piece] of current) {
    const was = old.get(name);
    if (was !== undefined) changes.push(...pieceChanges(name, was, piece));
  }
  return changes;
}

function pieceChanges(name: string, was: Piece, is: Piece): string[] {
  const lines = (piece: Piece) =>
    new Map([
      ...piece.findings.map(({ where, what }) => [`${where}: ${what}`, "finding"] as const),
      ...piece.not_examined.map((what) => [what, "not examined"] as const),
    ]);
  const hashes = (piece: Piece) =>
    new Map(piece.examined.filter(({ moves }) => !moves).map(({ what, sha256 }) => [what, sha256]));
  return [
    ...differences(
      lines(was),
      lines(is),
      (text, before, after) =>
        `${name}: ${before === undefined ? "new" : "no more"} ${after ?? before}: ${text}`,
    ),
    ...differences(
      hashes(was),
      hashes(is),
      (what, before, after) =>
        before !== undefined && after !== undefined
          ? `${name}: ${what} changed`
          : `${name}: ${what}, ${before === undefined ? "looked at now" : "not looked at any more"}`,
    ),
  ];
}

/** Evidence that several requirements rest on counts once. */
function pieces(files: EvidenceFile[]): Map<string, Piece> {
  return new Map(
    files.flatMap(({ evidence }) => evidence.map((piece) => [`${piece.kind} ${piece.name}`, piece] as const)),
  );
}

function differences<T>(
  before: Map<string, T>,
  after: Map<string, T>,
  say: (key: string, before: T | undefined, after: T | undefined) => string,
): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => say(key, before.get(key), after.get(key)));
}
