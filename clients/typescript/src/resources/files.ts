import type { Transport } from "../transport.js";
import type { File as StoredFile, WriteOptions } from "../types.js";

/** A file with its name: a `File` of the platform, or a blob and a name. */
export type FileSource = globalThis.File | { name: string; data: Blob };

/** `runyard.files` */
export class Files {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Store a file of at most 128 MiB; pass its id in `file_ids`. It goes straight to the bucket. */
  async upload(source: FileSource, options: WriteOptions = {}): Promise<StoredFile> {
    const data = "data" in source ? source.data : source;
    const mime_type = data.type.split(";")[0]!.trim() || "application/octet-stream";
    const announced = { name: source.name, size: data.size, mime_type };
    const answer = await this.#transport.post<{ data: Required<StoredFile> }>(
      "/v1/files",
      announced,
      options,
    );
    const { upload, ...file } = answer.data;
    const form = new FormData();
    for (const [name, value] of Object.entries(upload.fields)) form.append(name, value);
    form.append("file", data, source.name);
    await this.#transport.upload(upload.url, form, options);
    return file;
  }
}
