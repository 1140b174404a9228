/** Branches whose condition is known when the model is imported. */
import { InputError } from '../../base/errors.js';
import type { OpTable } from '../op.js';

export const controlOps: OpTable = {
  If: {
    build: (op) => {
      const branch = op.subgraph(op.scalar(0, 'the condition') !== 0 ? 'then_branch' : 'else_branch');
      if (!branch) throw new InputError('lacks a branch');
      return op.runSubgraph(branch);
    },
    neverFold: true,
  },
};
