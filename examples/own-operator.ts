// Any matrix that can be multiplied by: solvers need nothing else.
import { eigs, linearOperator } from 'hessia';

// the second difference on n points, whose eigenvalues are 4·sin²(πk/(2n+2))
const n = 100;
await using A = linearOperator({
  rows: n,
  columns: n,
  symmetric: true,
  positiveSemidefinite: true,
  apply: (v) => v.map((x, i) => 2 * x - (v[i - 1] ?? 0) - (v[i + 1] ?? 0)),
});
const { eigenvalues } = await eigs(A, { k: 3, which: 'largest' });
for (const [i, { value }] of eigenvalues.entries()) {
  const exact = 4 * Math.sin((Math.PI * (n - i)) / (2 * n + 2)) ** 2;
  console.log(`${value.toFixed(8)}  exact ${exact.toFixed(8)}`);
}
