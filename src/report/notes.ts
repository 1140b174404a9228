/** What a reader should know before trusting the numbers, in sentences. */
import type { SpectrumDocument } from './document.js';
import { significant } from './numbers.js';

export function reliabilityNotes(document: SpectrumDocument): string[] {
  const { largest, smallest, probes, steps, dimension, density, dtype } = document;
  const norm = Math.max(...[...largest, ...smallest].map((e) => Math.abs(e.value)));
  const notes: string[] = [];
  notes.push(
    document.converged
      ? 'Both extreme eigenvalues have converged: their residuals are at most a thousandth of the largest absolute eigenvalue.'
      : `The extreme eigenvalues have not converged in ${steps} steps: take more (--steps ${Math.min(dimension, 2 * steps)}).`,
  );
  notes.push(
    'Every eigenvalue listed has an eigenvalue of the matrix within its residual, which was computed from a product with its vector. ' +
      'Only eigenvalues told apart from their neighbours are listed, each once whatever its multiplicity; a list shorter than ten ends where the spectrum gets dense.',
  );
  if (steps >= dimension)
    notes.push(
      'There are as many Lanczos steps as dimensions, so the quadrature of each probe is exact up to rounding.',
    );
  if (probes === 1)
    notes.push(
      'A single probe gives no error estimates: the band and the standard error need at least two (--probes).',
    );
  else if (probes < 3) notes.push('The 95 % band comes from two probes only, and is wide and rough.');
  if (probes >= 3 && density.unreliable.some(Boolean)) {
    notes.push(
      'The 95 % band is pointwise and reliable where many eigenvalues lie under the kernel. In its paler parts few do: the places of isolated eigenvalues are sharp, the heights of their peaks are rough.',
    );
  }
  notes.push(
    `Each eigenvalue is drawn as a Gaussian of standard deviation ${significant(density.width, 3)}: finer structure is not shown, and nearby eigenvalues merge.`,
  );
  const rounding = document.asymmetry * norm;
  if (rounding > 0) {
    notes.push(
      `Products are computed in ${dtype}; their rounding errors, seen as a lack of symmetry, are about ${significant(rounding, 2)}. Eigenvalues closer to 0 than this have no certain sign.`,
    );
  }
  const lowest = smallest[0];
  if (lowest && document.operator !== 'hessian' && lowest.value < 0) {
    notes.push(
      `This matrix is positive semidefinite by construction; the smallest value found, ${significant(lowest.value, 2)}, is rounding error.`,
    );
  }
  return [...notes, ...document.warnings];
}
