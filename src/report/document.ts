/** What `hessia spectrum --json` prints and what the report is made from. Fields may be added, never changed. */
import type { CurvatureName } from '../operators/curvature.js';

/** A number; JSON has no NaN or infinity, which are null there. */
export type JsonNumber = number | null;

export interface JsonEigenvalue {
  readonly value: number;
  readonly residual: number;
}

export interface SpectrumDocument {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly operator: CurvatureName;
  readonly dimension: number;
  readonly samples: number;
  readonly batchSize: number;
  readonly loss: number;
  readonly gradientNorm: number;
  /** descending */
  readonly largest: readonly JsonEigenvalue[];
  /** ascending */
  readonly smallest: readonly JsonEigenvalue[];
  readonly trace: { readonly estimate: number; readonly standardError: JsonNumber };
  readonly density: {
    readonly grid: readonly number[];
    readonly value: readonly number[];
    /** 95 % band, null with a single probe */
    readonly lower: readonly JsonNumber[];
    readonly upper: readonly JsonNumber[];
    /** where too few eigenvalues contribute for the band to be trusted */
    readonly unreliable: readonly boolean[];
    /** standard deviation of the kernel */
    readonly width: number;
  };
  readonly ritz: readonly { readonly nodes: readonly number[]; readonly weights: readonly number[] }[];
  readonly steps: number;
  readonly probes: number;
  readonly products: number;
  readonly converged: boolean;
  /** lack of symmetry seen in the products, relative to the norm: the size of rounding errors */
  readonly asymmetry: number;
  readonly seconds: number;
  readonly device: string;
  readonly deviceName: string;
  readonly dtype: 'float32' | 'float64';
  readonly threads: number;
  readonly seed: number;
  readonly version: string;
  readonly warnings: readonly string[];
}

/** What the report shows beside the document. */
export interface ReportContext {
  readonly lossName: string;
  /** as the user gave them */
  readonly data: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[]; readonly count: number }[];
  /** the command line that made this, ready to paste into a shell */
  readonly command: string;
  readonly date: Date;
}

export const operatorTitles: Readonly<Record<CurvatureName, string>> = {
  hessian: 'Hessian',
  'gauss-newton': 'Gauss–Newton matrix',
  fisher: 'Fisher matrix',
  'fisher-exact': 'Fisher matrix (exact root)',
  'empirical-fisher': 'empirical Fisher matrix',
};

/** The file, without the folders it lies in. */
export function modelName({ model }: SpectrumDocument): string {
  return model.replace(/^.*[/\\\\](?=.)/, '');
}
