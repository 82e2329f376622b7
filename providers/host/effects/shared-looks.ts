/** Looks at hosts: all who ask for the same host within a few seconds share one. */
export class SharedLooks<Sight> {
  readonly #looks = new Map<string, { at: number; look: Promise<Sight> }>();
  readonly #seconds: number;

  /** @param seconds for which a look serves others who ask for the same */
  constructor(seconds = 5) {
    this.#seconds = seconds;
  }

  /**
   * @param key of the host
   * @param begin begins a look, where there is no recent one or `fresh` asks for one that begins now
   */
  take(
    key: string,
    begin: () => Promise<Sight>,
    { fresh = false }: { fresh?: boolean } = {},
  ): Promise<Sight> {
    const now = performance.now();
    const recent = this.#looks.get(key);
    if (!fresh && recent !== undefined && now - recent.at < this.#seconds * 1000)
      return recent.look;
    const look = begin();
    this.#looks.set(key, { at: now, look });
    return look;
  }

  /** Makes the next look at a host a new one: something has changed there. */
  forget(key: string): void {
    this.#looks.delete(key);
  }
}
