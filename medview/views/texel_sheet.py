"""A sheet of coloured texels in the patient, one for each voxel of a slice: a translucent fill with an outline inside.

A fragment shader looks, for every pixel of the screen, at the texels a line's width away: where one of them differs,
the pixel belongs to the outline. So the outline is equally thick at every zoom, and two neighbours never mix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkTexture

from medview.core.geometry import Floats

_SHADER = """
  vec2 here = tcoordVCVSOutput.st;
  vec4 texel = texture(actortexture, here);
  if (texel.a == 0.0) discard;
  vec2 across = dFdx(here) * outlineWidth;
  vec2 along = dFdy(here) * outlineWidth;
  bool edge = false;
  if (outlineWidth > 0.0)
  {
    for (int v = -1; v <= 1; ++v)
    {
      for (int h = -1; h <= 1; ++h)
      {
        vec2 there = here + float(h) * across + float(v) * along;
        bool inside = all(greaterThanEqual(there, vec2(0.0))) && all(lessThanEqual(there, vec2(1.0)));
        edge = edge || !inside || texture(actortexture, there) != texel;
      }
    }
  }
  bool gap = hatchWidth > 0.0 && mod(gl_FragCoord.x + gl_FragCoord.y, hatchWidth) > 0.4 * hatchWidth;
  gl_FragData[0] = vec4(texel.rgb, edge ? outlineOpacity : gap ? 0.0 : fillOpacity);
"""


class TexelSheet:
    """A quadrangle with a picture on it, nearest neighbour. Texels with an alpha of 0 are not drawn.

    Attributes:
        actor: Belongs into the scene; not visible at first.
        texels: (row, column) uint32, the bytes red, green, blue and a mark that tells kinds apart.
    """

    def __init__(self) -> None:
        self.actor = vtkActor()
        self.texels: NDArray[np.uint32] = np.zeros((1, 1), dtype=np.uint32)
        self._image = vtkImageData()
        self._quad = vtkPolyData()
        self._build()
        self.set_look(0.3, 2.0)

    def resize(self, rows: int, columns: int) -> None:
        """Take another number of texels, all of them transparent."""
        self.texels = np.zeros((rows, columns), dtype=np.uint32)
        self._image.SetDimensions(columns, rows, 1)
        self._image.GetPointData().SetScalars(numpy_to_vtk(self.texels.view(np.uint8).reshape(-1, 4), deep=False))

    def texels_changed(self) -> None:
        """Fetch the texels again with the next frame."""
        self._image.GetPointData().GetScalars().Modified()
        self._image.Modified()

    def place(self, corners: Floats) -> None:
        """Put the corners of the sheet somewhere.

        Args:
            corners: (4, 3) x, y, z, LPS, mm: of the first row and column, the first row and last column, the last row
                and column, the last row and first column.
        """
        points = self._quad.GetPoints()
        for number, place in enumerate(corners):
            points.SetPoint(number, *place)
        points.Modified()
        self._quad.Modified()

    def set_look(self, fill_opacity: float, outline_px: float, hatch_px: float = 0.0) -> None:
        """How it is drawn.

        Args:
            fill_opacity: How strong the fill is, 0..1.
            outline_px: How thick the outline is, in device pixels; 0 for none.
            hatch_px: How far the lines of the fill lie from each other; 0 for a fill without lines.
        """
        uniforms = self.actor.GetShaderProperty().GetFragmentCustomUniforms()
        uniforms.SetUniformf("fillOpacity", fill_opacity)
        uniforms.SetUniformf("outlineOpacity", 1.0 if outline_px > 0 else fill_opacity)
        uniforms.SetUniformf("outlineWidth", outline_px)
        uniforms.SetUniformf("hatchWidth", hatch_px)
        self.actor.Modified()

    def _build(self) -> None:
        points = vtkPoints()
        points.SetDataTypeToDouble()
        points.SetNumberOfPoints(4)
        cells = vtkCellArray()
        cells.InsertNextCell(4, [0, 1, 2, 3])
        self._quad.SetPoints(points)
        self._quad.SetPolys(cells)
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
        self._quad.GetPointData().SetTCoords(numpy_to_vtk(corners, deep=True))
        texture = vtkTexture()
        texture.SetInputData(self._image)
        texture.SetColorModeToDirectScalars()
        texture.InterpolateOff()
        texture.MipmapOff()
        texture.SetWrap(vtkTexture.ClampToEdge)
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(self._quad)
        self.actor.SetMapper(mapper)
        self.actor.SetTexture(texture)
        self.actor.ForceTranslucentOn()
        self.actor.GetProperty().LightingOff()
        self.actor.PickableOff()
        self.actor.VisibilityOff()
        self.actor.GetShaderProperty().AddFragmentShaderReplacement("//VTK::TCoord::Impl", True, _SHADER, False)
