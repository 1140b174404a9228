/** What a long computation tells its caller while it runs. */

/** How far a long computation is. */
export interface Progress {
  /** what is being done: "Lanczos", "residuals" */
  readonly stage: string;
  /** vectors multiplied so far, and in all as far as is known */
  readonly products: number;
  readonly total: number;
  /** what is counted where it is not products: "updates" */
  readonly unit?: string | undefined;
}

/** What every solver accepts. */
export interface RunOptions {
  /** Stops the computation: it rejects with InterruptedError. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each product; must not throw. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}
